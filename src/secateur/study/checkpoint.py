"""Checkpoints: the weights of one run in one safetensors file, its masks in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from secateur.errors import SecateurError, StoreError
from secateur.foundation.html import plain
from secateur.pruning.masks import Masks
from secateur.study.checkpoint_sum import open_file, sum_of
from secateur.study.folder import check_kind, write_whole

_MASKS = "secateur.masks"
_EARLY = "secateur.early:"


def save_checkpoint(
    path: Path,
    state: Mapping[str, Tensor],
    masks: Masks | None = None,
    early: Mapping[str, Tensor] | None = None,
) -> str:
    """Write tensors under their state-dict names, atomically and synced.

    Without `early` the file holds the state dict and nothing else, so
    `safetensors.torch.load_file` gives what `load_state_dict` takes; a tied weight is written under
    each of its names.

    Args:
        path: Replaced only once the new file is whole and on the disk.
        state: A state dict.
        masks: Kept in the file's metadata.
        early: The state dict of an earlier epoch, to be gone back to; see `load_early`.

    Returns:
        The SHA-256 of what was to be written, in hex: of the bytes in memory, not of the file.
    """
    held = {**state, **{_EARLY + name: tensor for name, tensor in (early or {}).items()}}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in held.items()}
    metadata = {_MASKS: masks.to_text()} if masks is not None else None
    # One key only: safetensors writes several in no fixed order, and the bytes are compared.
    content = save(tensors, metadata)
    write_whole(path, content)
    return sum_of(content)


def load_checkpoint(path: Path, expected: str = "") -> tuple[dict[str, Tensor], Masks | None]:
    """The state dict and the masks of a checkpoint; None where nothing was pruned.

    Args:
        path: The file.
        expected: The SHA-256 that it was written with; empty to take it as it is.

    Raises:
        StoreError: The file is missing or damaged.
    """
    held, text = _read(path, expected)
    state = {name: tensor for name, tensor in held.items() if not name.startswith(_EARLY)}
    return state, _masks(path, text) if text else None


def load_early(path: Path, expected: str = "") -> dict[str, Tensor]:
    """The state dict of the earlier epoch that a checkpoint keeps.

    Args:
        path: The file.
        expected: As of `load_checkpoint`.

    Raises:
        StoreError: The file is missing or damaged, or keeps none.
    """
    held, _ = _read(path, expected)
    early = {
        name.removeprefix(_EARLY): tensor
        for name, tensor in held.items()
        if name.startswith(_EARLY)
    }
    if not early:
        raise _damaged(path, "without the weights of an earlier epoch")
    return early


def _read(path: Path, expected: str) -> tuple[dict[str, Tensor], str | None]:
    """The tensors and the text of the masks, of the very bytes that were compared with the sum."""
    check_kind(path)
    try:
        with open_file(path) as file:
            content = file.read()
    except OSError as error:
        raise _damaged(path, f"unreadable ({error.strerror or error})") from None
    if expected and sum_of(content) != expected:
        raise _damaged(path, "damaged (its bytes are not those that were written)")
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise _damaged(path, f"unreadable ({error})") from None
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    return tensors, metadata.get(_MASKS)


def _masks(path: Path, text: str) -> Masks:
    try:
        return Masks.from_text(text)
    except SecateurError:
        raise
    except Exception as error:
        # Text of a file: whatever is wrong with it shows in some exception of its parsers.
        raise _damaged(path, f"a file whose masks are damaged ({type(error).__name__})") from None


def restore(net: nn.Module, path: Path, expected: str = "") -> Masks | None:
    """Load a checkpoint's weights into a net of their shapes; returns the masks.

    Args:
        net: What gets them.
        path: The file.
        expected: As of `load_checkpoint`.

    Raises:
        StoreError: The file is missing or damaged, or holds the weights of another net.
    """
    state, masks = check_shapes(net, path, expected)
    own = net.state_dict()
    for name, mask in (masks or {}).items():
        if name not in own or own[name].shape != mask.shape:
            raise _damaged(path, f"a file with masks of another net ({plain(name, 80)!r})")
    net.load_state_dict(state)
    return masks


def check_shapes(
    net: nn.Module, path: Path, expected: str = ""
) -> tuple[dict[str, Tensor], Masks | None]:
    """Read a checkpoint whose tensors have the names and shapes of a net's.

    Args:
        net: Only its shapes are looked at: it may be on the device `meta`.
        path: The file.
        expected: As of `load_checkpoint`.

    Raises:
        StoreError: The file is missing or damaged, or holds the weights of another net.
    """
    state, masks = load_checkpoint(path, expected)
    own = net.state_dict()
    wrong = [*(own.keys() ^ state.keys())] or [
        name for name, tensor in own.items() if tensor.shape != state[name].shape
    ]
    if wrong:
        name = plain(min(wrong), 80)
        given = f"of another net ({name!r} is not as in the net built)"
        raise _damaged(path, given, f"Where --model named the net, name the study's own. {_AGAIN}")
    return state, masks


_AGAIN = "Run the sweep again: it makes the damaged runs anew."


def _damaged(path: Path, given: str, remedy: str = _AGAIN) -> StoreError:
    return StoreError(
        "reading a checkpoint",
        str(path),
        given=given,
        expected="a safetensors file of this study",
        remedy=remedy,
    )
