"""Followed: what becomes of a layer's output in the norm and the activation behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.pruning.statistics.activations import WATCHED
from secateur.pruning.weights import Weight

Seen = Callable[[str, nn.Module, Tensor], None]

_PASSING = {"batch_norm", "group_norm", "layer_norm", "instance_norm", "rms_norm"}
_PASSING |= {"dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"}
_ACTIVATIONS = {"relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu"}
_ACTIVATIONS |= {"silu", "mish", "hardswish", "hardtanh", "hardsigmoid", "sigmoid", "tanh"}
_ACTIVATIONS |= {"softplus", "softsign", "threshold", "clamp", "clamp_min", "clip"}


class Followed:
    """Watches the outputs of linear layers and convolutions while a network is run.

    An output is followed through norms and dropout to the first activation, whether those are
    modules or functions. Where something else comes first (a sum, a pooling, another layer), it is
    taken as it is there; so it is where a loss calls a layer of the network outside its forward
    pass.

    Args:
        weights: The weights by name; those of other layers are left alone.
        model: The network.
        seen: Called once for each call of a layer, with the weight's name, the layer and the
            output.
    """

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module, seen: Seen) -> None:
        self._mode = _Mode(seen)
        self._handles = [model.register_forward_pre_hook(self._enter)]
        for name, weight in weights.items():
            layer = model.get_submodule(weight.module)
            if isinstance(layer, WATCHED):
                self._handles.append(layer.register_forward_hook(self._start(name)))
        # Even when the network fails: a mode that is never left would follow the whole process.
        self._handles.append(model.register_forward_hook(self._leave, always_call=True))

    def remove(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        del module, inputs
        self._mode.passes += 1
        self._mode.__enter__()  # type: ignore[no-untyped-call]

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        del module, inputs, output
        self._mode.finish()
        self._mode.passes -= 1
        self._mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def _start(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], object], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            del inputs
            if isinstance(output, Tensor):
                self._mode.start(name, module, output)

        return hook


class _Mode(TorchFunctionMode):
    """Sees every function of torch, and moves what is followed from its input to its result."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.pending: dict[int, tuple[str, nn.Module, Tensor]] = {}
        self.passes = 0
        self._seen = seen

    def start(self, name: str, module: nn.Module, output: Tensor) -> None:
        """Follow an output from here."""
        if self.passes:
            self.pending[id(output)] = (name, module, output)
        else:
            self._seen(name, module, output)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        source = args[0] if args else named.get("input")
        if not isinstance(source, Tensor) or id(source) not in self.pending:
            return func(*args, **named)
        word = getattr(func, "__name__", "")
        plain = word.removesuffix("_")
        changes = word.startswith("__i") or (word.endswith("_") and not word.endswith("__"))
        if plain in _ACTIVATIONS or plain in _PASSING:
            name, module, _ = self.pending.pop(id(source))
            result = func(*args, **named)
            if plain in _PASSING:
                self.pending[id(result)] = (name, module, result)
            else:
                self._seen(name, module, result)
            return result
        if changes:
            self._seen(*self.pending.pop(id(source)))  # it is about to be overwritten
        return func(*args, **named)

    def finish(self) -> None:
        """Take what no activation has met, in the order of the layers."""
        while self.pending:
            self._seen(*self.pending.pop(next(iter(self.pending))))
