"""Layerwise: layers of a cut network that are mended one after the other, in one pass.

On each batch the network runs as it was before the cut, and what a kind of repair wants to know of
each layer is noted. Then the cut network runs, and each layer is mended as it does, so that the
layers behind it see the difference (Nagel et al. 2019, arXiv 1906.04721, appendix D, mend layer by
layer in this order). Of a single batch that is exact. Of several, what is known of a layer comes
from all of them, the first of which met layers that were mended by less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from secateur.pruning.channel_axis import channel_axis
from secateur.pruning.layer_rows import runs_torchs_code
from secateur.pruning.mended import Mended
from secateur.pruning.repair import Calibration

Left = tuple[tuple[str, str], ...]
_PRODUCTS = (nn.Linear, _ConvNd)
_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)


class LayerMender(Protocol):
    """Mends one layer after the other."""

    def note(self, name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> Any:
        """What is kept of a layer's pass in the network before the cut."""

    def mend(
        self, name: str, module: nn.Module, inputs: Tensor, output: Tensor, noted: Any
    ) -> Tensor:
        """Mend a layer by its pass in the cut network; returns the output that it has then."""

    def close(self) -> Iterable[str]:
        """All batches have gone through: finish, and name the layers that were changed."""

    @property
    def done(self) -> bool:
        """Whether further batches would change nothing."""


@dataclass(frozen=True)
class LayerParameters:
    """The weight and the bias of one layer, and what masks and other layers say of them.

    Attributes:
        weight: None where it is computed, or another layer has it, too.
        bias: None where there is none, or another layer has it, too.
        kept: Mask of the weight, True = kept; None where all of it is.
        bias_kept: Likewise of the bias.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    kept: Tensor | None
    bias_kept: Tensor | None


def mendable(calibration: Calibration, norms: bool) -> tuple[dict[str, nn.Module], Left]:
    """The layers that can be mended, and those that cannot.

    A layer whose `forward` is not torch's own may do anything with its weight and bias.

    Args:
        calibration: The cut network.
        norms: Whether norms are layers, too.
    """
    kinds = (*_PRODUCTS, *_NORMS) if norms else _PRODUCTS
    found: dict[str, nn.Module] = {}
    left = []
    masked = {id(one) for one in calibration.masks.parameters_of(calibration.model).values()}
    for name, module in calibration.model.named_modules():
        if isinstance(module, kinds):
            if runs_torchs_code(module):
                found[name] = module
            else:
                left.append((name, "its forward is its own"))
        elif not isinstance(module, (*_PRODUCTS, *_NORMS)) and any(
            id(one) in masked for one in module.parameters(recurse=False)
        ):
            left.append((name, f"a {type(module).__name__} has no output channel to correct"))
    return found, tuple(left)


def parameters_of_layers(
    calibration: Calibration, layers: Mapping[str, nn.Module]
) -> dict[str, LayerParameters]:
    """The parameters of some layers, by the layers' names."""
    masks = {
        id(parameter): calibration.masks[name]
        for name, parameter in calibration.masks.parameters_of(calibration.model).items()
    }
    owners = Counter(
        id(one)
        for module in calibration.model.modules()
        for one in module.parameters(recurse=False)
    )

    def own(module: nn.Module, name: str) -> nn.Parameter | None:
        found = module._parameters.get(name)
        return found if found is not None and owners[id(found)] == 1 else None

    made = {}
    for name, module in layers.items():
        weight, bias = own(module, "weight"), own(module, "bias")
        made[name] = LayerParameters(weight, bias, masks.get(id(weight)), masks.get(id(bias)))
    return made


def by_channel(values: Tensor, module: nn.Module, output: Tensor) -> Tensor:
    """One value a channel, in a shape that goes with the layer's output."""
    shape = [1] * output.dim()
    shape[channel_axis(module, output)] = values.numel()
    return values.to(output.device, output.dtype).view(shape)


def scale_channels(module: nn.Module, weight: Tensor, scale: Tensor) -> Tensor:
    """A layer's weight, with what computes each output channel scaled.

    Example:
        >>> import torch
        >>> scale_channels(nn.Linear(2, 2), torch.ones(2, 2), torch.tensor([1.0, 3.0])).tolist()
        [[1.0, 1.0], [3.0, 3.0]]
    """
    if isinstance(module, _ConvTransposeNd):
        grouped = weight.view(module.groups, -1, *weight.shape[1:])
        factors = scale.view(module.groups, 1, -1, *[1] * (weight.dim() - 2))
        return (grouped * factors).view_as(weight)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1))


def mend_layers(
    calibration: Calibration,
    kind: str,
    layers: Mapping[str, nn.Module],
    mender: LayerMender,
    left: Left = (),
) -> Mended:
    """Take the batches through the network before and after the cut, mending layer by layer.

    Args:
        calibration: The networks and the batches.
        kind: The kind of repair, for the report.
        layers: Those that are mended.
        mender: Mends one.
        left: What was left alone before.

    Returns:
        What was done. Layers that run more than once in a pass, or in none, are left alone, as are
        those whose output is no tensor of real numbers.
    """
    watch = _Watch(layers, mender)
    for batch in calibration.batches():
        with watch.dense():
            calibration.run_dense(batch)
        with watch.cut():
            calibration.run(batch)
        if mender.done:
            break
    changed = set(mender.close())
    mended = tuple(name for name in layers if name in changed)
    return Mended(kind, mended, (*left, *watch.left()))


class _Watch:
    """Hooks on layers, which hand their passes to a mender."""

    def __init__(self, layers: Mapping[str, nn.Module], mender: LayerMender) -> None:
        self._layers, self._mender = layers, mender
        self._noted: dict[str, Any] = {}
        self._calls: Counter[str] = Counter()
        self._reached: set[str] = set()
        self._out: dict[str, str] = {}

    def left(self) -> Iterator[tuple[str, str]]:
        for name in self._layers:
            if name in self._out:
                yield name, self._out[name]
            elif name not in self._reached:
                yield name, "no batch reaches it"

    @contextmanager
    def dense(self) -> Iterator[None]:
        """While open, passes are those of the network before the cut."""
        self._noted.clear()
        self._calls.clear()

        def note(name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> None:
            self._calls[name] += 1
            if self._calls[name] > 1:
                self._out[name] = "it runs more than once in a pass"
                return
            self._noted[name] = self._mender.note(name, module, inputs, output)

        with self._hooks(note):
            yield

    @contextmanager
    def cut(self) -> Iterator[None]:
        """While open, passes are those of the cut network."""

        def mend(name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> Tensor | None:
            if name not in self._noted:
                return None
            self._reached.add(name)
            return self._mender.mend(name, module, inputs, output, self._noted.pop(name))

        with self._hooks(mend):
            yield

    @contextmanager
    def _hooks(self, told: Any) -> Iterator[None]:
        def hook_of(name: str) -> Any:
            def hook(module: nn.Module, args: Any, named: dict[str, Any], output: Any) -> Any:
                if name in self._out:
                    return None
                inputs = args[0] if args else next(iter(named.values()), None)
                if not (_is_real(inputs) and _is_real(output)):
                    self._out[name] = "its input or output is no tensor of real numbers"
                    return None
                return told(name, module, inputs, output)

            return hook

        handles = [
            # First of all hooks: what is mended is the layer, not what a hook makes of its output.
            module.register_forward_hook(hook_of(name), with_kwargs=True, prepend=True)
            for name, module in self._layers.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _is_real(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
