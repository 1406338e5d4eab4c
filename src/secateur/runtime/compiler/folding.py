"""Folding: fewer nodes for the same function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from secateur.runtime.compiler.graph import Graph, Node, NodeKind

_WITH_RELU = (NodeKind.ADD, NodeKind.AFFINE, NodeKind.MAX_POOL)


def folded(graph: Graph) -> Graph:
    """Put batch norms into the layers before them, and ReLUs into whatever makes their input.

    Zeros of a weight stay zeros, as each filter is multiplied as a whole.

    Args:
        graph: As captured. Its nodes are changed.

    Returns:
        A graph of those nodes that remain.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from secateur.runtime.compiler.capture import capture
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        >>> folded(capture(net, torch.zeros(2, 1, 4, 4))).nodes
        (<input input 1x4x4>, <conv 0 2x2x2 relu>)
    """
    users = graph.users()
    gone: dict[Node, Node] = {}
    for node in graph.nodes:
        node.inputs = tuple(gone.get(read, read) for read in node.inputs)
        if node.kind not in (NodeKind.AFFINE, NodeKind.RELU):
            continue
        (before,) = node.inputs
        made = _maker(before, users, graph.outputs)
        if made is not None and _takes(made, node):
            if node.kind is NodeKind.AFFINE:
                _scale(made, node)
            else:
                made.relu = True
            gone[node] = before
            users[before] = users[node]
        elif node.kind is NodeKind.RELU and before.relu:
            gone[node] = before
            users[before] += users[node]
    outputs = [gone.get(output, output) for output in graph.outputs]
    left = [node for node in graph.nodes if node not in gone]
    for node in left:
        if node.kind is NodeKind.AFFINE:
            scale, shift = node.scale_and_shift
            node.weight, node.bias = scale.float(), shift.float()
    return Graph.reaching(left, graph.sources, outputs)


def _maker(
    value: Node, users: Mapping[Node, Sequence[Node]], outputs: Sequence[Node]
) -> Node | None:
    """What made a value that is read once, behind other shapes of it; None if more read it."""
    while len(users[value]) == 1 and value not in outputs:
        if value.kind is not NodeKind.RESHAPE:
            return value
        (value,) = value.inputs
    return None


def _takes(made: Node, node: Node) -> bool:
    if made.relu:
        return False
    if node.kind is NodeKind.RELU:
        return made.is_layer or made.kind in _WITH_RELU
    (before,) = node.inputs
    same = before is made or before.sizes[0] == made.sizes[0]
    return made.is_layer and not made.rows and same


def _scale(layer: Node, norm: Node) -> None:
    scale, shift = norm.scale_and_shift
    per_filter = scale.view(-1, *[1] * (layer.matrix.dim() - 1))
    bias = shift if layer.bias is None else layer.bias.double() * scale + shift
    layer.weight, layer.bias = (layer.matrix.double() * per_filter).float(), bias.float()
