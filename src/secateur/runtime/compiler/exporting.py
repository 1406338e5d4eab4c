"""Exporting: torch's own capture of a network, with a dynamic batch axis."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from secateur.foundation.own_error import first_line_of, kind_of


class NotCapturedError(Exception):
    """The network is no graph of tensors in and tensors out; the text says why."""


def exported(
    net: nn.Module,
    example: Sequence[Tensor],
    batched: Sequence[bool] | None = None,
    *,
    is_flat: bool = False,
    dynamic: Collection[int] = (),
) -> ExportedProgram:
    """Have torch write a network down, whatever the size of the batch.

    Args:
        net: A network of tensors in and one tensor or a tuple of them out, in evaluation mode, on
            the CPU.
        example: Its inputs, with a batch of two or more: of one, the batch would be a constant.
        batched: For each, whether its first axis is the batch; all of them if not given.
        is_flat: Whether its forward takes `*tensors`.
        dynamic: Further axes whose size is left open, where the network leaves it open.

    Raises:
        NotCapturedError: `torch.export` fails on it.
    """
    flags = [True] * len(example) if batched is None else batched
    # Of several inputs, all have the same batch; one alone may be cut up as it pleases.
    batch = torch.export.Dim("batch") if sum(flags) > 1 else torch.export.Dim.AUTO
    any_size = torch.export.Dim.AUTO
    axes = tuple(
        {0: batch, **{axis: any_size for axis in dynamic if axis < one.dim()}} if flag else None
        for one, flag in zip(example, flags, strict=True)
    )
    shapes = {"tensors": axes} if is_flat else axes
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it would hide the layers of a transformer
    try:
        # The exporter speaks to its own developers in warnings.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.export.export(net, tuple(example), dynamic_shapes=shapes)
    except Exception as error:
        raise NotCapturedError(f"torch.export: {said(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def free_axes(program: ExportedProgram) -> tuple[frozenset[int], ...]:
    """For each input, the axes whose size the program leaves open, but for the first."""
    names = program.graph_signature.user_inputs
    values = [n.meta["val"] for n in program.graph.nodes if n.name in names]
    return tuple(
        frozenset(at for at, size in enumerate(one.shape) if at and fixed_size(size) is None)
        for one in values
    )


def fixed_size(size: Any) -> int | None:
    """A size that a program fixes; None if it leaves it open."""
    if isinstance(size, int):
        return size
    return int(str(size)) if str(size).isdecimal() else None


def said(error: Exception) -> str:
    """An error on one line."""
    return f"{kind_of(error)} {first_line_of(error, 200)}"
