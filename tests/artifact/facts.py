"""What makes a network itself, bit by bit, as plain words that can be compared across processes."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "channels"))

from cutting import leaves, run

Facts = dict[str, Any]


def facts(model: nn.Module, example: Any) -> Facts:
    """Outputs, state dict, buffers, ties and modules of a network.

    Tensors stand there by type, shape, strides and the SHA-256 of their bits.
    """
    with torch.no_grad():
        outputs = run(model, example)
    names: dict[int, list[str]] = {}
    for name, tensor in [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]:
        names.setdefault(id(tensor), []).append(name)
    return {
        "inputs": [_bits(tensor) for tensor in _inputs(example)],
        "outputs": [_bits(tensor) for tensor in outputs],
        "state dict": {name: _bits(tensor) for name, tensor in model.state_dict().items()},
        "parameters": {
            name: [_bits(tensor), tensor.requires_grad] for name, tensor in model.named_parameters()
        },
        "buffers": {name: _bits(tensor) for name, tensor in model.named_buffers()},
        "ties": [tied for tied in names.values() if len(tied) > 1],
        "modules": repr(model),
    }


def _inputs(example: Any) -> list[Tensor]:
    if isinstance(example, dict):
        example = [value for value in example.values() if isinstance(value, Tensor)]
    return leaves(example)


def _bits(tensor: Tensor) -> list[Any]:
    content = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return [
        str(tensor.dtype),
        list(tensor.shape),
        list(tensor.stride()),
        hashlib.sha256(content).hexdigest(),
    ]
