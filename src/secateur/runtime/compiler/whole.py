"""Whole: a network that PyTorch runs as it is, on any inputs and to any outputs."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateur.channels.rebuild import rebuild, uncompiled
from secateur.errors import ModelError
from secateur.foundation.own_error import words_of
from secateur.foundation.run_example import Inputs, arguments, described, each_tensor, tensors_in
from secateur.runtime.compiler.structure import rebuilt


def serving_copy(model: nn.Module) -> nn.Module:
    """A network of one's own to serve: on the CPU, in evaluation mode, without gradients.

    It shares nothing with the model. What hooks of `torch.nn.utils` make of other parameters
    (weight norm and pruning of the older kind) is a plain parameter in it.

    Raises:
        ChannelError: The network holds something that Python cannot copy.

    Example:
        >>> serving_copy(nn.Dropout()).training
        False
    """
    net = rebuild(uncompiled(model), {})
    if any(isinstance(module, torch.jit.ScriptModule) for module in net.modules()):
        # Its parameters do not let go of their gradients; it runs without them all the same.
        with warnings.catch_warnings():
            # They are no leaves in the copy, and torch says so of each while it moves them.
            warnings.filterwarnings("ignore", message=r"The \.grad attribute of a Tensor")
            return net.cpu().eval()
    _bake(net)
    return net.cpu().eval().requires_grad_(False)


def _bake(net: nn.Module) -> None:
    with torch.no_grad():
        for module in net.eval().modules():
            for number, hook in list(module._forward_pre_hooks.items()):
                if type(hook).__module__.startswith("torch.nn.utils.") and hasattr(hook, "remove"):
                    hook(module, ())
                    hook.remove(module)
                    del module._forward_pre_hooks[number]


class Whole:
    """Calls a network as it is.

    Args:
        net: A network of one's own (see `serving_copy`).
    """

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self._turn = threading.Lock()

    def __call__(self, inputs: Inputs, named: Mapping[str, Any] | None = None) -> Any:
        """Run it; arrays give arrays.

        Args:
            inputs: As an example: one tensor, a tuple of arguments, or a mapping.
            named: Further arguments by name.

        Raises:
            ModelError: It fails.
        """
        arrays = holds_arrays(inputs) or holds_arrays(named)
        args, kwargs = arguments(as_tensors(inputs))
        kwargs |= as_tensors(dict(named or {}))
        output = self.called(args, kwargs)
        return rebuilt(output, as_array) if arrays else output

    def called(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run it on arguments that are its own to change.

        Raises:
            ModelError: It fails.
        """
        try:
            # One at a time: a network may remember what it sees.
            with self._turn, torch.no_grad():
                output = self._net(*args, **kwargs)
        except Exception as error:
            raise ModelError(
                "running the engine",
                f"the network on an input of {described([*args, *kwargs.values()])}",
                given=f"failing ({words_of(error, 300)})",
                expected="inputs that it takes, on the CPU",
                remedy="Give what the model was compiled for, or compile it again.",
            ) from error
        if any(one.requires_grad for one in tensors_in(output)):
            output = rebuilt(output, _without_history)
        return output


def _without_history(tensor: Tensor) -> Tensor:
    return tensor.detach() if tensor.requires_grad else tensor


def as_array(tensor: Tensor) -> Any:
    """A tensor as numpy has it."""
    return tensor.numpy()


def holds_arrays(tree: Any) -> bool:
    """Whether there are numpy's arrays among some inputs."""
    if isinstance(tree, Mapping):
        return any(map(holds_arrays, tree.values()))
    if isinstance(tree, tuple | list):
        return any(map(holds_arrays, tree))
    return isinstance(tree, np.ndarray)


def as_tensors(tree: Any) -> Any:
    """The same tree with tensors for arrays, and without what tensors remember."""
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(np.require(tree, requirements=["C", "A", "W"]).copy())
    if type(tree) in (tuple, list):
        return type(tree)([as_tensors(one) for one in tree])
    if isinstance(tree, Mapping) and not tensors_in(tree):
        return {name: as_tensors(one) for name, one in tree.items()}
    return each_tensor(tree, _without_history)
