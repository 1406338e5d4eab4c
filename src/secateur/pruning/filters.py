"""Filters: each output channel of each convolution as a group of its own.

This is the granularity of the filter-pruning papers: a convolution's filter is scored and zeroed
without regard to other layers that share its channel. The classes of `secateur.channels` tie such
layers together; on nets without residuals both are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from secateur.errors import ModelError
from secateur.foundation.run_example import Inputs, run_example
from secateur.pruning.groups import Groups, Slot


def filter_axis(module: nn.Module) -> int:
    """The axis of the weight that counts the output channels."""
    return 1 if isinstance(module, _ConvTransposeNd) else 0


def filters(model: nn.Module, example: Inputs) -> Groups:
    """One group a filter: its weights, its bias, and the affine of the norm right behind it.

    Convolutions that share their weight share its groups. A norm that several convolutions feed is
    nobody's own and is left alone. Filters of grouped transposed convolutions are left out: their
    weight has no row for each output channel.

    Args:
        model: Any network; it is run once and left as it was.
        example: A batch that the model accepts.

    Raises:
        ModelError: The network has no convolution, or fails on the example.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        >>> [slot.parameter for slot in filters(net, torch.zeros(2, 1, 8, 8)).slots]
        ['0.weight', '0.bias', '1.weight', '1.bias']
    """
    norms = _own_norms(following_norms(model, example))
    layers: list[str] = []
    layer: list[Tensor] = []
    slots: list[Slot] = []
    numbered: dict[tuple[int, int], Tensor] = {}
    start = 0
    for name, module in model.named_modules():
        if not isinstance(module, _ConvNd):
            continue
        if isinstance(module, _ConvTransposeNd) and module.groups > 1:
            continue
        axis = filter_axis(module)
        numbers = numbered.get((id(module.weight), axis))
        if numbers is None:
            numbers = torch.arange(start, start + module.out_channels)
            numbered[id(module.weight), axis] = numbers
            start += module.out_channels
            layer.append(torch.full_like(numbers, len(layers)))
            layers.append(name)
            slots.append(Slot(_join(name, "weight"), axis, numbers, "write"))
        slots.extend(_affine_slots(model, name, ("bias",), numbers))
        if name in norms:
            slots.extend(_affine_slots(model, norms[name], ("weight", "bias"), numbers))
    if not layers:
        raise ModelError(
            "looking for filters",
            type(model).__name__,
            given="a network without a convolution",
            expected="at least one convolution",
            remedy="Filter methods prune convolutions; choose 'magnitude' for this network.",
        )
    return Groups(tuple(layers), torch.cat(layer), tuple(slots))


def _own_norms(norms: dict[str, str]) -> dict[str, str]:
    """Without the norms that several convolutions share: no single filter owns their affine."""
    convolutions = Counter(norms.values())
    return {conv: norm for conv, norm in norms.items() if convolutions[norm] == 1}


def _affine_slots(
    model: nn.Module, module: str, names: tuple[str, ...], numbers: Tensor
) -> Iterator[Slot]:
    owner = model.get_submodule(module)
    for name in names:
        if getattr(owner, name, None) is not None:
            yield Slot(_join(module, name), 0, numbers, "affine")


def _join(module: str, parameter: str) -> str:
    return f"{module}.{parameter}" if module else parameter


def following_norms(model: nn.Module, example: Inputs) -> dict[str, str]:
    """Which batch norm reads each convolution's output first-hand: convolution -> norm, by name.

    Found by running the model on `example` and watching which tensor goes where, so it holds
    however the modules are nested or named. A norm behind an activation is not meant, in-place or
    not.

    Raises:
        ModelError: The network fails on the example.
    """
    produced: dict[int, tuple[str, Tensor, int]] = {}
    pairs: dict[str, str] = {}

    def after_conv(name: str) -> object:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            # The tensor is held beside its id, or the id could be given to another one. Its version
            # tells whether an operator has written into it since.
            produced[id(output)] = (name, output, output._version)

        return hook

    def before_norm(name: str) -> object:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            source = produced.get(id(inputs[0])) if inputs else None
            if source is not None and source[2] == inputs[0]._version:
                pairs.setdefault(source[0], name)

        return hook

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, _ConvNd):
            handles.append(module.register_forward_hook(after_conv(name)))  # type: ignore[arg-type]
        elif isinstance(module, _BatchNorm):
            handles.append(module.register_forward_pre_hook(before_norm(name)))  # type: ignore[arg-type]
    try:
        run_example(model, example)
    finally:
        for handle in handles:
            handle.remove()
    return pairs
