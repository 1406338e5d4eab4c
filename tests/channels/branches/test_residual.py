"""Which sums are residual, and what belongs to their branches."""

import torch
from residual_nets import Encoder, Perceptron, X
from torch import Tensor, nn

from secateur.channels.branches.dataflow import flow_of
from secateur.channels.branches.residual import Branch, residual_branches


def branches(net: nn.Module, x: Tensor = X) -> list[Branch]:
    return residual_branches(net, flow_of(net.eval(), x))


def test_two_of_each_block_with_norm_and_scale() -> None:
    found = branches(Encoder(2))
    assert [one.path for one in found] == [
        f"blocks.{n}.{part}" for n in range(2) for part in ("attention", "perceptron")
    ]
    assert found[0].modules == ("blocks.0.norm1", "blocks.0.attention")
    assert "blocks.0.scale" in found[0].parameters
    assert found[1].weights == ("blocks.0.perceptron.up.weight", "blocks.0.perceptron.down.weight")
    assert not any(one.pinned for one in found)


def test_a_table_that_all_read_is_nobodys() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = Perceptron(), Perceptron()

        def forward(self, x: Tensor) -> Tensor:
            mask = torch.ones(5, 1).tril()
            x = x + self.one(x) * mask
            return x + self.two(x) * mask

    assert [(one.path, one.pinned) for one in branches(Shared())] == [("one", ""), ("two", "")]


def test_what_is_made_of_a_memory_belongs_to_the_branch_that_reads_it() -> None:
    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            return (self.query(x) @ self.key(memory).transpose(1, 2)).softmax(-1) @ memory

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.cross = Perceptron(), Cross()

        def forward(self, x: Tensor) -> Tensor:
            return x + self.cross(x, self.encoder(x.flip(1)))

    (found,) = branches(Decoder())
    assert found.modules[-1] == "cross"
    assert {"cross.query.weight", "cross.key.weight"} <= set(found.parameters)


def test_sums_without_weights_or_of_a_parameter_are_none() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place, self.last = nn.Parameter(torch.ones(5, 8)), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.place
            return self.last(x + x.relu())

    assert branches(Plain()) == []


def test_in_place_and_in_either_order() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = Perceptron(), Perceptron()

        def forward(self, x: Tensor) -> Tensor:
            x = x.clone()
            x += self.one(x)
            return torch.add(self.two(x), x)

    found = branches(InPlace())
    assert [(one.path, one.operand, one.pinned) for one in found] == [
        ("one", 1, ""),
        ("two", 0, ""),
    ]
