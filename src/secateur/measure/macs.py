"""Counting multiply-adds: every product that a network computes, seen as PyTorch runs it.

Whatever modules a network is made of, its products arrive at the dispatcher as a few operators:
convolutions, matrix products and the bilinear form. They are counted there, so a layer that runs
twice counts twice, and functional calls, einsum and attention count as modules do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from secateur.foundation.module_stack import module_stack
from secateur.foundation.run_example import Inputs, arguments

aten = torch.ops.aten

# Matrix products, and where in their arguments the two factors start.
_PRODUCTS = {
    aten.mm: 0,
    aten.bmm: 0,
    aten.mv: 0,
    aten.dot: 0,
    aten.vdot: 0,
    aten.addmm: 1,
    aten._addmm_activation: 1,
    aten.baddbmm: 1,
    aten.addbmm: 1,
    aten.addmv: 1,
}
# The second is how TorchScript calls the first.
_CONVOLUTIONS = {aten.convolution, aten._convolution}


class MacCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the multiply-adds of everything that runs under it, by module.

    A *weight* is a factor made of the model's parameters and buffers alone: the parameter itself,
    a view of it, or what a mask or a reparametrization makes of it on the way. Its products belong
    to the running module if that holds the parameter, else to the first module that does; products
    without a weight, such as attention scores, belong to the running module.

    Args:
        model: The network that will run.

    Attributes:
        macs: Module name -> multiply-adds, those with padding and with zeros included.
        nonzero_macs: Module name -> those whose weight is not zero.

    Example:
        >>> net = nn.Linear(3, 2)
        >>> _ = nn.init.eye_(net.weight)
        >>> with torch.no_grad(), MacCounter(net) as counter:
        ...     _ = net(torch.ones(1, 3))
        >>> counter.macs.total(), counter.nonzero_macs.total()
        (6, 2)
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs: Counter[str] = Counter()
        self.nonzero_macs: Counter[str] = Counter()
        self._weights = _Weights(model)
        self._names: dict[int, str] = {id(one): name for name, one in model.named_modules()}
        self._running = [""]
        self._following = ExitStack()

    def __enter__(self) -> Self:
        self._following.enter_context(module_stack(self._running, self._name_of))
        return super().__enter__()  # type: ignore[no-untyped-call, no-any-return]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._following.close()

    def _name_of(self, module: nn.Module) -> str:
        return self._names.get(id(module), self._running[-1])

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operator; count it if it is a product."""
        result = func(*args, **(kwargs or {}))
        operator = func.overloadpacket
        if operator in _PRODUCTS:
            start = _PRODUCTS[operator]
            self._count_product(args[start], args[start + 1])
        elif operator in _CONVOLUTIONS:
            x, weight, transposed = args[0], args[1], args[6]
            places = (x if transposed else result).shape[2:]
            self._count_weight(weight, positions=x.shape[0] * prod(places))
        elif operator is aten._trilinear:
            self._count_weight(args[1], positions=args[0].shape[0])
        self._weights.follow(_tensors((args, kwargs)), _tensors(result))
        return result

    def _count_weight(self, weight: Tensor, positions: int) -> None:
        """Count an operator that uses every element of its weight once at every position."""
        nonzero = int(weight.count_nonzero()) if weight in self._weights else weight.numel()
        self._add([weight], weight.numel() * positions, nonzero * positions)

    def _count_product(self, left: Tensor, right: Tensor) -> None:
        """Count `[..., m, k] @ [..., k, n]`; a vector is a matrix of one row or one column."""
        rows = left if left.dim() > 1 else left.unsqueeze(0)
        columns = right if right.dim() > 1 else right.unsqueeze(1)
        macs = rows.numel() * columns.shape[-1]
        # For each k: so many elements of the left are multiplied by so many of the right.
        on_the_left = rows.count_nonzero(-2) if left in self._weights else rows.shape[-2]
        on_the_right = columns.count_nonzero(-1) if right in self._weights else columns.shape[-1]
        pairs = on_the_left * on_the_right
        nonzero = int(pairs.sum()) if isinstance(pairs, Tensor) else macs
        self._add([left, right], macs, nonzero)

    def _add(self, factors: list[Tensor], macs: int, nonzero: int) -> None:
        module = self._weights.owner(factors, running=self._running[-1])
        self.macs[module] += macs
        self.nonzero_macs[module] += nonzero


class _Weights:
    """The tensors that hold nothing but a model's own values, and the modules that they are of.

    Each is remembered with the parameters that went into it, as numbers in the model's order. The
    tensors are kept as well, so that no later tensor takes over the identity of an earlier one.
    """

    def __init__(self, model: nn.Module) -> None:
        self._known: dict[int, tuple[Tensor, frozenset[int]]] = {}
        self._holders: list[list[str]] = []
        for number, parameter in enumerate(model.parameters()):
            self._known[id(parameter)] = (parameter, frozenset({number}))
            self._holders.append([])
        for buffer in model.buffers():
            self._known[id(buffer)] = (buffer, frozenset())
        for name, module in model.named_modules():
            for parameter in module.parameters(recurse=False):
                for number in self._known[id(parameter)][1]:
                    self._holders[number].append(name)

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self._known

    def follow(self, sources: list[Tensor], results: list[Tensor]) -> None:
        """What is made of weights alone is a weight; what data flow into no longer is one."""
        made_of_weights = bool(sources) and all(source in self for source in sources)
        parameters = self._parameters(sources) if made_of_weights else frozenset()
        for result in results:
            if made_of_weights:
                self._known[id(result)] = (result, parameters)
            else:
                self._known.pop(id(result), None)

    def owner(self, factors: list[Tensor], *, running: str) -> str:
        """The module that a product of these factors belongs to."""
        parameters = sorted(self._parameters(factors))
        if not parameters or any(running in self._holders[number] for number in parameters):
            return running
        return self._holders[parameters[0]][0]

    def _parameters(self, tensors: list[Tensor]) -> frozenset[int]:
        known = [self._known[id(tensor)][1] for tensor in tensors if tensor in self]
        return frozenset().union(*known)


def count_macs(model: nn.Module, example: Inputs) -> MacCounter:
    """Run the model once, with its products in sight, and count them.

    Fused kernels (recurrent layers, attention, transformer layers) would hide their products, so
    they are switched off for this run.

    Args:
        model: Any network.
        example: Its inputs.

    Example:
        >>> rnn = nn.GRU(3, 2)
        >>> with torch.no_grad():
        ...     count_macs(rnn, torch.zeros(5, 1, 3)).macs.total()  # 5 steps of 6x3 + 6x2
        150
    """
    args, kwargs = arguments(example)
    with _without_fused_kernels(), MacCounter(model) as counter:
        model(*args, **kwargs)
    return counter


@contextmanager
def _without_fused_kernels() -> Iterator[None]:
    backends = torch.backends
    before = (
        backends.mha.get_fastpath_enabled(),
        bool(backends.mkldnn.enabled),
        backends.cudnn.enabled,
    )
    _enable_fused_kernels(False, False, False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        _enable_fused_kernels(*before)


def _enable_fused_kernels(attention: bool, mkldnn: bool, cudnn: bool) -> None:
    torch.backends.mha.set_fastpath_enabled(attention)
    # The properties, not `flags()`: on leaving, that also sets precisions it was not asked about.
    torch.backends.mkldnn.enabled = mkldnn  # type: ignore[assignment]
    torch.backends.cudnn.enabled = cudnn


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
