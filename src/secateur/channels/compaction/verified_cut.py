"""Verified: a cut that was made and compared already, for a network that is still the same.

`prune` tries its cut before anything is zeroed. As long as no weight has changed since, `compact`
makes the same cut and compares it on the example alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from secateur.channels.compaction.bias_folding import Fold
from secateur.channels.compaction.verify import Trial
from secateur.channels.tracing.module_numbers import Numbers
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import tensors_in
from secateur.pruning.pinned import Report


@dataclass(frozen=True, slots=True)
class VerifiedCut:
    """A cut that has been compared.

    Attributes:
        of: The fingerprint of the masked network and its example.
        kept: What stays of each parameter.
        folds: What biases take over.
        numbers: What the modules' own numbers become.
        report: What could not be cut.
        trial: The first comparison, and what the masked network gave in it.
        expected: The same.
    """

    of: int
    kept: Mapping[str, Mapping[int, Tensor]]
    folds: list[Fold]
    numbers: Numbers
    report: Report
    trial: Trial
    expected: list[Tensor]


def fingerprint(masked: nn.Module, example_inputs: Any) -> int | None:
    """A number made of every bit of a network and its inputs; None where they lie on a device."""
    found = 0
    for name, tensor in _named(masked, example_inputs):
        if tensor.device.type != "cpu" or tensor.layout != torch.strided:
            return None
        found = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), found)
        plain = tensor.detach().contiguous()
        if plain.numel():
            found = zlib.crc32(plain.reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def _named(model: nn.Module, example_inputs: Any) -> Iterator[tuple[str, Tensor]]:
    yield from own_tensors(model)
    for number, tensor in enumerate(tensors_in(example_inputs)):
        yield str(number), tensor
