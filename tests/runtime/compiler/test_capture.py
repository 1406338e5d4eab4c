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
    assert torch.equal(graph.outputs[0].matrix, before)


def test_names_are_those_of_the_modules() -> None:
    net = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten())
    names = [node.name for node in capture(net, torch.zeros(2, 1, 4, 4)).nodes]
    assert names == ["input", "0.0", "0.1", "1"]


def test_an_operator_without_a_rule_runs_in_torch() -> None:
    graph = capture(nn.Sequential(nn.Linear(4, 4), nn.Mish()), torch.zeros(2, 4))
    assert graph.outputs[0].kind is NodeKind.TORCH
    assert (graph.outputs[0].name, graph.outputs[0].why) == ("aten.mish", "no kernel")
    assert graph.outputs[0].call is not None
    value = torch.randn(3, 4)
    assert torch.equal(graph.outputs[0].call(value), nn.functional.mish(value))


def test_whoever_reads_a_tensor_after_a_change_in_place_reads_the_changed_one() -> None:
    class Changes(Net):
        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x)
            nn.functional.relu_(y)
            return y + self.linear(y)

    graph = capture(Changes(), torch.zeros(2, 4))
    assert [str(node.kind) for node in graph.nodes] == ["input", "linear", "relu", "linear", "add"]
    assert graph.outputs[0].inputs[0].kind is NodeKind.RELU


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
    assert [str(value.kind) for value in graph.outputs[0].inputs] == ["relu", "linear"]


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


def test_several_inputs_and_outputs() -> None:
    class Two(Net):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            z = self.linear(x) + y
            return z, z.relu()

    graph = capture(Two(), torch.zeros(2, 4), torch.zeros(2, 4))
    assert [str(node.kind) for node in graph.nodes] == ["input", "input", "linear", "add", "relu"]
    assert [node.name for node in graph.sources] == ["x", "y"]
    assert [str(node.kind) for node in graph.outputs] == ["add", "relu"]


def test_float64_runs_in_torch_operator_by_operator() -> None:
    graph = capture(nn.Linear(4, 2).double(), torch.zeros(2, 4).double())
    assert [str(node.kind) for node in graph.nodes] == ["input", "torch"]


def test_an_output_that_needs_no_input_is_a_constant() -> None:
    class Table(Net):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.linear(x), self.linear.bias

    graph = capture(net := Table(), torch.zeros(2, 4))
    made = graph.outputs[1].call
    assert made is not None
    assert torch.equal(made(), net.linear.bias)


@pytest.mark.parametrize(("train", "p"), [(False, 0.5), (True, 0.0)])
def test_a_dropout_of_constants_that_is_switched_off_draws_nothing(train: bool, p: float) -> None:
    class Places(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) + nn.functional.dropout(self.linear.weight, p, train).sum()

    assert capture(Places(), torch.zeros(2, 4)).outputs


def test_one_that_is_switched_on_is_refused() -> None:
    class Places(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) + nn.functional.dropout(self.linear.weight, 0.5, True).sum()

    with pytest.raises(NotCapturedError, match="draws random numbers"):
        capture(Places(), torch.zeros(2, 4))
