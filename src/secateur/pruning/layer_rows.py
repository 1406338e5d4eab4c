"""Layer rows: what a layer multiplies and what it gives, at a few places, as rows of a matrix.

A convolution is a matrix product of its weight with the patch of its input at each place; a few
places of each example show as much as all of them, for neighbours are alike (He, Zhang and Sun
2017, arXiv 1707.06168, section 4).
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PLACES = 10
"""Places of each example that are looked at, as in the paper."""


def runs_torchs_code(module: nn.Module) -> bool:
    """Whether a layer does what torch's does: a subclass or an instance may have its own forward.

    Example:
        >>> runs_torchs_code(nn.Linear(1, 1))
        True
    """
    own = [getattr(type(module), name, None) for name in ("forward", "_conv_forward")]
    return "forward" not in vars(module) and all(
        one is None or one.__module__.startswith("torch.nn.modules.") for one in own
    )


def examples_in(module: nn.Module, output: Tensor) -> int:
    """How many examples a layer gave an output for; of a linear layer's matrix every row is one."""
    if isinstance(module, nn.Linear):
        rows = output.numel() // max(output.shape[-1], 1)
        return output.shape[0] if output.dim() > 2 else rows
    return output.numel() // prod(_spatial(module, output)) // _channels(module)


def places_of(
    module: nn.Module, output: Tensor, generator: torch.Generator, each: int | None = None
) -> Tensor:
    """Places of a layer's output, drawn without regard to what is there.

    Args:
        module: A convolution or a linear layer.
        output: What it gave.
        generator: Draws, on the CPU.
        each: How many of each example, `PLACES` by default; all of them where there are no more.

    Returns:
        int64: of a convolution `[examples, places]`, counted through the axes of space; of a linear
        layer the numbers of rows, all axes but the last counted through.
    """
    each = PLACES if each is None else each
    if isinstance(module, nn.Linear):
        rows = output.numel() // max(output.shape[-1], 1)
        wanted = min(rows, each * max(examples_in(module, output), 1))
        return torch.randperm(rows, generator=generator)[:wanted].to(output.device)
    space, examples = prod(_spatial(module, output)), examples_in(module, output)
    if space <= each:
        return torch.arange(space, device=output.device).expand(examples, space)
    return torch.randint(space, (examples, each), generator=generator).to(output.device)


def output_rows(module: nn.Module, output: Tensor, places: Tensor) -> Tensor:
    """A layer's output at some places.

    Returns:
        `[rows, groups, outputs of a group]`.

    Example:
        >>> conv = nn.Conv2d(1, 2, 1)
        >>> output_rows(conv, torch.arange(8.0).view(1, 2, 2, 2), torch.tensor([[3]])).tolist()
        [[[3.0, 7.0]]]
    """
    if isinstance(module, nn.Linear):
        return output.reshape(-1, 1, output.shape[-1])[places]
    flat = output.reshape(places.shape[0], _channels(module), -1)
    index = places.unsqueeze(1).expand(-1, flat.shape[1], -1)
    rows = flat.gather(2, index).transpose(1, 2)
    return rows.reshape(-1, _groups(module), flat.shape[1] // _groups(module))


def input_rows(module: nn.Module, inputs: Tensor, output: Tensor, places: Tensor) -> Tensor:
    """What a layer's weight is multiplied with at some places.

    Returns:
        `[rows, groups, weights of an output]`, in the order of the weight.

    Example:
        >>> conv = nn.Conv1d(1, 1, 2, padding=1)
        >>> x = torch.tensor([[[5.0, 6.0]]])
        >>> input_rows(conv, x, conv(x), torch.tensor([[0, 2]])).tolist()
        [[[0.0, 5.0]], [[6.0, 0.0]]]
    """
    if isinstance(module, nn.Linear):
        return inputs.reshape(-1, 1, inputs.shape[-1])[places]
    conv: Any = module
    padded = _padded(conv, inputs)
    examples, rank = places.shape[0], len(conv.kernel_size)
    flat = padded.reshape(examples, conv.in_channels, -1)
    index = _patches(conv, padded.shape[-rank:], _spatial(conv, output), places)
    found = flat.gather(2, index.flatten(1).unsqueeze(1).expand(-1, conv.in_channels, -1))
    found = found.view(examples, conv.in_channels, *index.shape[1:]).transpose(1, 2)
    return found.reshape(places.numel(), conv.groups, -1)


def _patches(conv: Any, padded: torch.Size, spatial: torch.Size, places: Tensor) -> Tensor:
    """Where the patches lie in the padded input, counted through: `[examples, places, kernel]`."""
    rank = len(spatial)
    strides = [prod(padded[axis + 1 :]) for axis in range(rank)]
    origin = torch.zeros_like(places)
    rest = places
    for axis in reversed(range(rank)):
        origin = origin + rest % spatial[axis] * (conv.stride[axis] * strides[axis])
        rest = rest // spatial[axis]
    offsets = [
        sum(o * d * s for o, d, s in zip(offset, conv.dilation, strides, strict=True))
        for offset in product(*map(range, conv.kernel_size))
    ]
    return origin.unsqueeze(-1) + torch.tensor(offsets, device=places.device)


def _padded(conv: Any, inputs: Tensor) -> Tensor:
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    around = conv._reversed_padding_repeated_twice
    batched = inputs if inputs.dim() == len(conv.kernel_size) + 2 else inputs.unsqueeze(0)
    return functional.pad(batched, around, mode=mode) if any(around) else batched


def _spatial(module: Any, output: Tensor) -> torch.Size:
    return output.shape[output.dim() - len(module.kernel_size) :]


def _channels(module: Any) -> int:
    return int(module.out_channels)


def _groups(module: nn.Module) -> int:
    return int(getattr(module, "groups", 1))
