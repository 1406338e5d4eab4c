"""Nets over graphs of torch_geometric."""

from __future__ import annotations

from typing import Any

import torch

from foreign.building import net, picture
from foreign.journey import Builder


def graph(name: str, *args: Any, **settings: Any) -> Builder:
    """A net over a graph of 12 nodes in a ring with chords."""

    def inputs() -> Any:
        ring = torch.arange(12)
        there = torch.cat([(ring + 1) % 12, (ring + 5) % 12, (ring - 1) % 12])
        return (torch.randn(12, 6), torch.stack([ring.repeat(3), there]))

    return net("torch_geometric.nn", name, inputs, *args, **settings)


GRAPHS: dict[str, Builder] = {
    name.lower(): graph(
        name, in_channels=6, hidden_channels=16, num_layers=3, out_channels=4, norm=norm
    )
    for name, norm in [
        ("GCN", "batch_norm"),
        ("GraphSAGE", None),
        ("GIN", "batch_norm"),
        ("GAT", None),
        ("PNA", None),
        ("EdgeCNN", None),
    ]
    if name != "PNA"
} | {
    "gatv2": graph(
        "GAT", in_channels=6, hidden_channels=16, num_layers=2, out_channels=4, heads=2, v2=True
    ),
    "graph_unet": graph("GraphUNet", 6, 16, 4, depth=2),
    "arma": graph("ARMAConv", 6, 4, num_stacks=2, num_layers=2),
    "mlp": net("torch_geometric.nn", "MLP", picture(12, 6), [6, 16, 16, 4]),
    "linkx": net(
        "torch_geometric.nn",
        "PMLP",
        lambda: (torch.randn(12, 6), torch.randint(0, 12, (2, 30))),
        6,
        16,
        4,
        3,
    ),
    "jumping_sage": graph(
        "GraphSAGE", in_channels=6, hidden_channels=16, num_layers=3, out_channels=4, jk="cat"
    ),
    "lightgcn": net(
        "torch_geometric.nn", "LightGCN", lambda: (torch.randint(0, 12, (2, 30)),), 12, 16, 2
    ),
}
