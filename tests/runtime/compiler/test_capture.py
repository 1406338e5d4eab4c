"""Capture: the graph is the network, or there is a reason why there is none."""

import pytest
import torch
from torch import Tensor, nn

from secateur.channels.branches.skipped import skip
from secateur.runtime.compiler.capture import NotCapturedError, capture
from secateur.runtime.compiler.graph import NodeKind


class Net(nn.Module):
    """A linear layer, then whatever a test wants to see captured."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)


def kinds(net: nn.Module, example: Tensor) -> list[str]:
    return [str(node.kind) for node in capture(net, example).nodes]


def test_dropout_and_clones_are_nothing() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Identity(), nn.ReLU())
    assert kinds(net.train(), torch.zeros(2, 4)) == ["input", "linear", "relu"]
    assert net.training


def test_a_branch_that_was_taken_out_leaves_nothing() -> None:
    class Residual(Net):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x + torch.relu(self.linear(x)))

    net = nn.Sequential(nn.Linear(4, 4), skip(Residual(), {"linear": "tensor"}), Residual())
    assert kinds(net, torch.zeros(2, 4)) == [
        "input",
        "linear",
        "relu",
        "linear",
        "relu",
        "add",
        "relu",
    ]


def test_the_weights_are_copies() -> None:
    net = nn.Sequential(nn.Linear(4, 2))
    graph = capture(net, torch.zeros(2, 4))
    before = net[0].weight.detach().clone()
    nn.init.zeros_(net[0].weight)
    assert torch.equal(graph.output.matrix, before)


def test_names_are_those_of_the_modules() -> None:
    net = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten())
    names = [node.name for node in capture(net, torch.zeros(2, 1, 4, 4)).nodes]
    assert names == ["input", "0.0", "0.1", "1"]


def test_an_operator_without_a_rule_runs_in_torch() -> None:
    graph = capture(nn.Sequential(nn.Linear(4, 4), nn.GELU()), torch.zeros(2, 4))
    assert graph.output.kind is NodeKind.TORCH
    assert (graph.output.name, graph.output.why) == ("aten.gelu", "no kernel")
    assert graph.output.call is not None
    value = torch.randn(3, 4)
    assert torch.equal(graph.output.call(value), nn.functional.gelu(value))


def test_whoever_reads_a_tensor_after_a_change_in_place_reads_the_changed_one() -> None:
    class Changes(Net):
        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x)
            nn.functional.relu_(y)
            return y + self.linear(y)

    graph = capture(Changes(), torch.zeros(2, 4))
    assert [str(node.kind) for node in graph.nodes] == ["input", "linear", "relu", "linear", "add"]
    assert graph.output.inputs[0].kind is NodeKind.RELU


def test_a_change_under_a_view_that_is_read_later_is_refused() -> None:
    class Changes(Net):
        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x)
            view = y.view(-1, 2, 2)
            y.relu_()
            return y + view.flatten(1)

    with pytest.raises(NotCapturedError, match="changed in place"):
        capture(Changes(), torch.zeros(2, 4))


def test_a_change_of_a_clone_leaves_the_original() -> None:
    class Changes(Net):
        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x)
            return y.clone().relu_() + y

    graph = capture(Changes(), torch.zeros(2, 4))
    assert [str(value.kind) for value in graph.output.inputs] == ["relu", "linear"]


def test_a_fixed_batch_is_refused() -> None:
    class Fixed(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) + torch.ones(2, 1)

    with pytest.raises(NotCapturedError, match=r"fixed to 2"):
        capture(Fixed(), torch.zeros(2, 4))


def test_control_flow_on_values_is_refused() -> None:
    class Branches(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) if x.sum() > 0 else x

    with pytest.raises(NotCapturedError, match=r"torch\.export"):
        capture(Branches(), torch.zeros(2, 4))


def test_two_outputs_are_refused() -> None:
    class Two(Net):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.linear(x)
            return y, y.relu()

    with pytest.raises(NotCapturedError, match="its output"):
        capture(Two(), torch.zeros(2, 4))


def test_float64_is_not_known() -> None:
    with pytest.raises(NotCapturedError, match="fp32"):
        capture(nn.Linear(4, 2).double(), torch.zeros(2, 4).double())
