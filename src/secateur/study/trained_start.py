"""A trained start: the weights of a checkpoint in place of the ones that a builder draws.

A safetensors file, or a torch file read with `weights_only`: no code in it runs. Its contents, and
not its path, name the runs that start from it.
"""

from __future__ import annotations

import difflib
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from secateur.errors import ModelError

_HOLDERS = ("state_dict", "model_state_dict", "model", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def content_of(path: Path) -> str:
    """SHA-256, in hex, of a checkpoint's bytes.

    Raises:
        ModelError: It cannot be read.
    """
    return hashlib.sha256(_bytes(path)).hexdigest()


def start_from(net: nn.Module, path: Path, content: str = "") -> None:
    """Load a checkpoint into a net that was built.

    Args:
        net: Changed in place.
        path: A state dict: safetensors, or a torch file, which may hold it under `state_dict` or
            `model`; prefixes such as `module.` are taken off.
        content: What `content_of` said when the study was planned.

    Raises:
        ModelError: It cannot be read, is of another net, or is no longer what it was.
    """
    held = _bytes(path)
    if content and hashlib.sha256(held).hexdigest() != content:
        raise _wrong(
            path, "not as it was when the sweep began", "the file that the runs are named by"
        )
    state = _fitted(net, _state(path, held))
    own = net.state_dict()
    # Counters of batch norms are no weights, and older files have none.
    missing = [
        name for name in own if name not in state and not name.endswith("num_batches_tracked")
    ]
    unknown = [name for name in state if name not in own]
    if missing or unknown:
        raise _another(path, missing, unknown, own)
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise _wrong(
                path,
                f"of another net: {name} is {_shape(tensor)}",
                f"{_shape(own[name])}, as in the net built",
            )
    net.load_state_dict({**own, **state})


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(path, f"unreadable ({error.strerror})", "a readable file") from None


def _state(path: Path, held: bytes) -> dict[str, Tensor]:
    try:
        found: Any = load(held)
    except SafetensorError:
        try:
            found = torch.load(io.BytesIO(held), map_location="cpu", weights_only=True)
        except Exception as error:  # whatever its parser meets
            raise _wrong(
                path,
                f"neither safetensors nor a torch file of tensors ({type(error).__name__})",
                "the state dict of a net",
            ) from None
    for name in _HOLDERS:
        inside = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(inside, Mapping):
            found = inside
    state = (
        {name: one for name, one in found.items() if isinstance(one, Tensor)}
        if isinstance(found, Mapping)
        else {}
    )
    if not state:
        raise _wrong(path, "without any tensor by name", "the state dict of a net")
    return state


def _fitted(net: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names without a prefix that all of them have and the net has not."""
    own = net.state_dict().keys()
    for prefix in (*_PREFIXES, *_PREFIXES):
        if all(name.startswith(prefix) for name in state) and not set(state) <= set(own):
            state = {name.removeprefix(prefix): one for name, one in state.items()}
    return state


def _another(
    path: Path, missing: list[str], unknown: list[str], own: Mapping[str, Tensor]
) -> ModelError:
    words = []
    if missing:
        words.append(f"without {', '.join(missing[:3])}{', ...' * (len(missing) > 3)}")
    if unknown:
        near = difflib.get_close_matches(unknown[0], own, n=1)
        hint = f" (is it {near[0]}?)" if near else ""
        words.append(f"with {', '.join(unknown[:3])}{', ...' * (len(unknown) > 3)}{hint}")
    return _wrong(path, f"of another net: {' and '.join(words)}", "every tensor of the net built")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _wrong(path: Path, given: str, expected: str) -> ModelError:
    return ModelError(
        "starting from a checkpoint",
        str(path),
        given=given,
        expected=expected,
        remedy="Give the checkpoint of the network that the study builds, or build that network.",
    )
