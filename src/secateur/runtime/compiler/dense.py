"""Dense: nodes run by torch, one operator after the other, zeros multiplied like any number."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from secateur.runtime.compiler.graph import JOINTS, Node, NodeKind
from secateur.runtime.compiler.unfolding import exchanged

Function = Callable[..., Any]


class TorchSegment:
    """A run of nodes in eager torch.

    Args:
        nodes: In order, of any kind but INPUT.
        outputs: Those of them whose values are needed outside.
        csr: Hold the weights of linear layers in torch's CSR format, without their zeros.
        calls: Node -> what runs it instead of torch's own.

    Attributes:
        reads: The nodes outside whose values it takes.
        writes: The nodes whose values it makes.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        outputs: Sequence[Node],
        *,
        csr: bool = False,
        calls: Mapping[Node, Function] | None = None,
    ) -> None:
        own = calls or {}
        inside = set(nodes)
        read = dict.fromkeys(value for node in nodes for value in node.inputs)
        self.reads = tuple(node for node in read if node not in inside)
        self.writes = tuple(outputs)
        places = {node: place for place, node in enumerate((*self.reads, *nodes))}
        self._steps = [
            (own.get(node) or _function(node, csr=csr), tuple(map(places.__getitem__, node.inputs)))
            for node in nodes
        ]
        self._results = [places[node] for node in outputs]
        last = {place: step for step, (_, read) in enumerate(self._steps) for place in read}
        self._done: list[list[int]] = [[] for _ in nodes]
        for place, step in last.items():
            if place not in self._results:
                self._done[step].append(place)

    def run(self, values: Sequence[Any]) -> list[Any]:
        """From the values of `reads` to those of `writes`."""
        held: list[Any] = list(values)
        # Not in inference mode: the output may go on into a net that trains.
        with torch.no_grad():
            for (function, places), done in zip(self._steps, self._done, strict=True):
                held.append(function(*[held[place] for place in places]))
                for place in done:
                    held[place] = None
        return [held[place] for place in self._results]

    def release(self) -> None:
        """Nothing is kept."""


def _function(node: Node, *, csr: bool) -> Function:
    """What a node does to the values of its inputs."""
    made = _csr(node) if csr and node.kind is NodeKind.LINEAR else _MAKERS[node.kind](node)
    if not node.relu:
        return made
    return lambda *values: made(*values).relu_()


def _conv(node: Node) -> Function:
    weight, bias, options = node.matrix, node.bias, node.options
    rest = (options["stride"], options["padding"], options["dilation"], options["groups"])
    return lambda x: torch.conv2d(x, weight, bias, *rest)


def _conv_3d(node: Node) -> Function:
    weight, bias, options = node.matrix, node.bias, node.options
    rest = (options["stride"], options["padding"], options["dilation"], options["groups"])
    return lambda x: torch.conv3d(x, weight, bias, *rest)


def _conv_transpose(node: Node) -> Function:
    weight, bias, options = transposed(node), node.bias, node.options
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    rest = [options[name] for name in names]
    return lambda x: torch.conv_transpose2d(x, weight, bias, *rest)


def transposed(node: Node) -> torch.Tensor:
    """The weight of a transposed convolution as torch and ONNX have it: `[in, out / groups, ...]`.

    Args:
        node: Of kind CONV_TRANSPOSE.
    """
    return exchanged(node.matrix, node.options["groups"])


def _linear(node: Node) -> Function:
    weight, bias = node.matrix, node.bias
    return lambda x: functional.linear(x, weight, bias)


def _csr(node: Node) -> Function:
    """Features-major: with the batch in front, torch's CSR is slower than dense code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        weight = node.matrix.to_sparse_csr()
    bias = 0.0 if node.bias is None else node.bias

    def run(x: torch.Tensor) -> torch.Tensor:
        made = (weight @ x.reshape(-1, x.shape[-1]).t()).t() + bias
        return made.reshape(*x.shape[:-1], -1)

    return run


def _affine(node: Node) -> Function:
    per_channel = (-1, *[1] * (len(node.sizes) - 1))
    scale, shift = (tensor.view(per_channel) for tensor in node.scale_and_shift)
    return lambda x: torch.addcmul(shift, x, scale)


def _max_pool(node: Node) -> Function:
    given = [node.options[name] for name in ("kernel", "stride", "padding", "dilation")]
    return lambda x: torch.max_pool2d(x, *given)


def _avg_pool(node: Node) -> Function:
    kernel, stride, padding = (node.options[name] for name in ("kernel", "stride", "padding"))
    counted = node.options["count_padding"]
    return lambda x: functional.avg_pool2d(x, kernel, stride, padding, count_include_pad=counted)


def _select(node: Node) -> Function:
    (h, w), before = node.options["stride"], node.options["before"]
    (value,) = node.inputs
    after = node.sizes[0] - value.sizes[0] - before
    return lambda x: functional.pad(x[:, :, ::h, ::w], (0, 0, 0, 0, before, after))


def _reshape(node: Node) -> Function:
    shape = node.sizes
    return lambda x: x.reshape(x.shape[0], *shape)


def _torch(node: Node) -> Function:
    if node.call is None:
        raise LookupError(f"{node.name} has nothing to call")
    return node.call


def _relu(_node: Node) -> Function:
    return torch.relu


def _add(_node: Node) -> Function:
    return torch.add


_MAKERS: dict[NodeKind, Callable[[Node], Function]] = {
    NodeKind.CONV: _conv,
    NodeKind.CONV_3D: _conv_3d,
    NodeKind.CONV_TRANSPOSE: _conv_transpose,
    NodeKind.LINEAR: _linear,
    NodeKind.RELU: _relu,
    NodeKind.ADD: _add,
    NodeKind.AFFINE: _affine,
    NodeKind.MAX_POOL: _max_pool,
    NodeKind.AVG_POOL: _avg_pool,
    NodeKind.SELECT: _select,
    NodeKind.RESHAPE: _reshape,
    **dict.fromkeys(JOINTS, _torch),
    NodeKind.TORCH: _torch,
}
