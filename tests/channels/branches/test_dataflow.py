"""What reads what in one pass, whatever is written in place."""

import torch
from torch import Tensor, nn

from secateur.channels.branches.dataflow import Step, flow_of, form_of


def steps(net: nn.Module, x: Tensor) -> dict[str, Step]:
    return {step.name: step for step in flow_of(net, x).steps}


def test_a_step_reads_what_another_gave() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    found = steps(net, torch.zeros(1, 2))
    assert found["linear"].gives == found["relu"].reads
    assert found["linear"].own == ("0.weight", "0.bias")
    assert found["relu"].stack == ("", "1")


def test_what_is_written_into_is_a_new_value_under_every_name_that_it_has() -> None:
    class InPlace(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            view = y[:, 0]
            y.relu_()
            return view.exp() + y[:, 1]

    found = steps(InPlace(), torch.ones(1, 2))
    (first, *others) = found["relu"].gives
    assert found["exp"].reads[0] in (first, *others)
    assert found["exp"].reads != found["__getitem__"].gives
    assert found["mul"].gives[0] not in found["relu"].gives


def test_relu_in_place_by_a_flag_is_seen_too() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 2))
    flow = flow_of(net, torch.zeros(1, 2))
    assert [step.name for step in flow.steps] == ["linear", "relu", "linear"]
    assert flow.steps[1].gives == flow.steps[2].reads != flow.steps[0].gives


def test_a_sum_says_what_it_adds_and_what_of_it_is_zero() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x * 0 + 1

    first, second = [step for step in flow_of(Sum(), torch.ones(1, 2)).steps if step.name == "add"]
    assert first.sum is not None
    assert first.sum.are_zero == (False, True)
    assert second.sum is None


def test_the_network_is_as_it_was() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    before = {name: one.clone() for name, one in net.state_dict().items()}
    flow_of(net, torch.randn(4, 2), training=True)
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())


def test_forms_of_what_modules_give() -> None:
    x = torch.ones(1)
    assert form_of((x, None, x)) == ["tensor", "none", "tensor"]
    assert form_of({"x": x}) is None
    assert form_of((x, (x, x))) is None
    assert flow_of(nn.Sequential(nn.ReLU()), x).forms == {"": "tensor", "0": "tensor"}
