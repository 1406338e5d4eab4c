"""What becomes of a layer's output, in modules and in functions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import _get_current_function_mode_stack as modes  # type: ignore[attr-defined]

from secateur.pruning.statistics.followed import Followed
from secateur.pruning.weights import prunable_weights


def watch(net: nn.Module, example: Tensor) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = {}

    def seen(name: str, module: nn.Module, output: Tensor) -> None:
        del module
        found.setdefault(name, []).append(output.clone())

    followed = Followed(prunable_weights(net), net, seen)
    net(example)
    followed.remove()
    net(example)  # nothing is seen any more
    assert not modes()
    return found


@pytest.mark.parametrize("inplace", [False, True])
def test_through_a_norm_to_the_activation(inplace: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Dropout(), nn.ReLU(inplace), nn.Conv2d(2, 1, 1)
    ).eval()
    example = torch.randn(3, 1, 4, 4)
    found = watch(net, example)
    assert list(found) == ["0.weight", "4.weight"]
    assert torch.equal(found["0.weight"][0], net[:4](example))
    assert torch.equal(found["4.weight"][0], net(example))


class Functions(nn.Module):
    """Activations as functions and methods, a sum that overwrites, a layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.one(x))
        y = self.two(x)
        y += x
        return self.three(self.three(torch.relu(y)).tanh())


def test_functions_sums_and_layers_called_twice() -> None:
    torch.manual_seed(0)
    net, x = Functions(), torch.randn(2, 3)
    found = watch(net, x)
    one = functional.gelu(net.one(x))
    three = net.three(torch.relu(net.two(one) + one)).tanh()
    assert torch.equal(found["one.weight"][0], one)
    assert torch.equal(found["two.weight"][0], net.two(one))
    assert torch.equal(found["three.weight"][0], three)
    assert torch.equal(found["three.weight"][1], net.three(three))


def test_a_layer_that_is_called_by_itself_is_taken_as_it_is() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    found: list[Tensor] = []
    followed = Followed(prunable_weights(net), net, lambda *seen: found.append(seen[2]))
    called = net[0](torch.ones(1, 2))
    followed.remove()
    assert len(found) == 1
    assert found[0] is called


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.fc(x)
        raise RuntimeError("on purpose")


def test_nothing_is_followed_after_a_failure() -> None:
    net = Failing()
    followed = Followed(prunable_weights(net), net, lambda *_: None)
    with pytest.raises(RuntimeError, match="on purpose"):
        net(torch.ones(1, 3))
    assert not modes()
    followed.remove()
