"""The check sees every kind of error in a compact network, and names the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateur import compact, prune
from secateur.channels.compaction.cutting import Cutter
from secateur.channels.compaction.verify import check_equal, compare
from secateur.channels.trace import trace
from secateur.errors import ChannelError


class Sample(nn.Module):
    """Convolutions, a norm, a grouped layer, a head, and a branch for training."""

    def __init__(self, end: str = "plain") -> None:
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.b, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 4)
        self.side, self.heads, self.end = nn.Linear(8, 4), 2, end
        self.register_buffer("gain", torch.linspace(0.5, 1.5, 4))

    def forward(self, x: Tensor) -> Any:
        x = self.norm(self.a(x)).tanh()
        if self.training:
            return self.side(x.mean((2, 3)))
        y = self.head(self.b(x).tanh().mean((2, 3))) * self.gain
        y = y.reshape(len(y), self.heads, -1).transpose(1, 2).flatten(1)
        if self.end == "complex":
            return torch.complex(y, y.flip(1))
        if self.end == "tiny":
            return y * 1e-6
        if self.end == "shifted":
            return y * 1e-6 + 1000
        if self.end == "argmax":
            return y.argmax(1)
        return {"deep": [y.float() if self.end == "float32" else y]}


class Kernel(torch.autograd.Function):
    """Stands for an operator that has no float64."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        if x.dtype == torch.float64:
            raise NotImplementedError("no float64")
        return x * 2

    @staticmethod
    def backward(_: Any, grad: Tensor) -> Tensor:
        return grad * 2


class Single(Sample):
    """The same where float64 cannot be had."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(Kernel.apply(x))


def weight(net: Any) -> None:
    net.b.weight[0, 0, 1, 1] += 0.05


def bias(net: Any) -> None:
    net.a.bias[1] += 0.05


def index(net: Any) -> None:
    net.b.weight[:, 0] = net.b.weight[:, 1]


def pair(net: Any) -> None:
    net.head.weight[:, [0, 1]] = net.head.weight[:, [1, 0]]


def swapped_filters(net: Any) -> None:
    net.a.weight[[0, 1]] = net.a.weight[[1, 0]]


def attribute(net: Any) -> None:
    net.heads = 4


def epsilon(net: Any) -> None:
    net.norm.eps = 0.1


def buffer(net: Any) -> None:
    net.norm.running_mean[2] += 0.05


def own_buffer(net: Any) -> None:
    net.gain[3] = 1.6


def shape(net: Any) -> None:
    net.b.weight = nn.Parameter(net.b.weight[:, :2].clone())


def raising(net: Any) -> None:
    net.heads = 3


def fewer(net: Any) -> None:
    net.head.weight = nn.Parameter(net.head.weight[:3].clone())
    net.head.bias = nn.Parameter(net.head.bias[:3].clone())


def not_a_number(net: Any) -> None:
    net.b.bias[0] = torch.nan


EVALUATION: dict[Callable[[Any], None], str] = {
    weight: "b (conv2d)",
    bias: "a (conv2d)",
    index: "b (conv2d)",
    pair: "head (linear)",
    swapped_filters: "a (conv2d)",
    attribute: "the network (reshape)",
    epsilon: "norm (batch_norm)",
    buffer: "norm (batch_norm)",
    own_buffer: "the network (mul)",
    shape: "b (conv2d)",
    raising: "the network (reshape)",
    fewer: "head (linear)",
    not_a_number: "b (conv2d)",
}


def side_weight(net: Any) -> None:
    net.side.weight[1, 0] += 0.05


def side_bias(net: Any) -> None:
    net.side.bias[0] += 0.05


def side_pair(net: Any) -> None:
    net.side.weight[:, [0, 1]] = net.side.weight[:, [1, 0]]


def side_shape(net: Any) -> None:
    net.side.weight = nn.Parameter(net.side.weight[:, :2].clone())


TRAINING = (side_weight, side_bias, side_pair, side_shape)


def cut(net: nn.Module, example: Any) -> tuple[nn.Module, nn.Module, Any]:
    """A network with half of its channels masked, the compact one, and what was cut."""
    groups = trace(net, example).groups("all")
    masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in net.named_parameters()}
    for slot in groups.slots:
        if slot.role != "read":
            gone = (slot.groups >= 0) & (slot.groups % 2 == 0)
            masks[slot.parameter].movedim(slot.axis, 0)[gone] = False
    cutter = Cutter(net, masks, example, fold=True, known=None)
    outcome = cutter.run(verify=True)
    assert outcome.plan.cut.gone.any()
    return cutter.masked, outcome.small, outcome.plan.cut


def sample(end: str, kind: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    net = (Single if end == "single" else Sample)(end).eval().to(kind)
    return net, torch.randn(2, 3, 6, 6, dtype=kind)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("plain", torch.float32),
        ("plain", torch.float64),
        ("plain", torch.float16),
        ("plain", torch.bfloat16),
        ("float32", torch.float32),
        ("complex", torch.float32),
        ("tiny", torch.float32),
        ("shifted", torch.float32),
        ("argmax", torch.float32),
        ("single", torch.float32),
    ],
)
def test_errors_in_evaluation_mode_are_seen_and_named(end: str, kind: torch.dtype) -> None:
    net, example = sample(end, kind)
    for plant, place in EVALUATION.items():
        masked, small, gone = cut(net, example)
        check_equal(masked, small, example, gone)
        with torch.no_grad():
            plant(small)
        with pytest.raises(ChannelError) as caught:
            check_equal(masked, small, example, gone)
        assert caught.value.subject == place, plant.__name__
        assert "report this" not in str(caught.value)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("plant", TRAINING)
def test_errors_in_training_mode_are_seen_and_named(
    plant: Callable[[Any], None], kind: torch.dtype
) -> None:
    net, example = sample("plain", kind)
    masked, small, gone = cut(net, example)
    with torch.no_grad():
        plant(small)
    with pytest.raises(ChannelError, match="side \\(linear\\)"):
        check_equal(masked, small, example, gone)


def test_the_line_of_the_users_code_is_named() -> None:
    net, example = sample("plain")
    masked, small, gone = cut(net, example)
    small.heads = 3
    with pytest.raises(ChannelError, match=r"test_verify\.py:\d"):
        check_equal(masked, small, example, gone)


def test_an_error_that_the_example_does_not_show_is_seen_on_other_inputs() -> None:
    net, example = sample("plain")
    example = torch.zeros_like(example)
    masked, small, gone = cut(net, example)
    with torch.no_grad():
        small.a.weight[0, 0, 1, 1] += 0.05
    difference = compare(masked, small, example, gone)
    assert difference is not None
    assert difference.place.layer == "a (conv2d)"


class Fixed(nn.Module):
    """Applies a function to a channel layer's output, or to its input."""

    def __init__(
        self, before: Callable[[Tensor], Tensor], after: Callable[[Any, Tensor], Any]
    ) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.before, self.after, self.steps = before, after, 0
        self.kept: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Any:
        self.steps += 1
        self.kept["x"] = x
        return self.after(self, self.c(self.b(self.a(self.before(x)).relu()).relu()))


def same(net: Any, y: Tensor) -> Tensor:
    return y


@pytest.mark.parametrize(
    "before",
    [
        torch.log,
        torch.sqrt,
        lambda x: x + torch.zeros(6),
        lambda x: x.float(),
        lambda x: x.to(torch.float32) * x.new_ones(6),
        lambda x: x * torch.tensor([1.0, 2, 3, 4, 5, 6]),
        lambda x: x.softmax(-1, dtype=torch.float32),
        lambda x: torch.cat([x[:, :3], torch.full((len(x), 3), 0.5)], 1),
        lambda x: torch.from_numpy(x.detach().float().numpy()),
        lambda x: torch.zeros(len(x), 6).copy_(x),
        lambda x: x + 0.1 * torch.randn_like(x),
        lambda x: x[torch.randperm(len(x))],
        lambda x: nn.functional.dropout(x, 0.1),
    ],
)
def test_a_right_cut_passes_whatever_the_forward_makes(
    before: Callable[[Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    net, example = Fixed(before, same).eval(), torch.rand(4, 6) + 0.1
    masks = prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=example)
    small = compact(net, masks, example)
    assert small.a.out_features < 8
    assert small.steps == net.steps == 0
    torch.manual_seed(3)
    expected = net(example)
    torch.manual_seed(3)
    torch.testing.assert_close(small(example), expected, rtol=1e-4, atol=1e-5)


def test_nothing_but_nan_is_refused_before_anything_is_zeroed() -> None:
    torch.manual_seed(0)
    net, example = Fixed(lambda x: (x - 9).sqrt(), same).eval(), torch.rand(4, 6)
    before = {name: one.clone() for name, one in net.state_dict().items()}
    with pytest.raises(ChannelError, match="NaN or infinite throughout"):
        prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=example)
    assert all(torch.equal(before[name], one) for name, one in net.state_dict().items())


def test_whatever_a_network_keeps_is_as_it_was() -> None:
    class Keeper(Fixed):
        def __init__(self) -> None:
            super().__init__(torch.relu, same)
            self.register_buffer("past", torch.zeros(4, 6))
            self.list: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            self.past = (self.past + x).detach()
            self.list.append(x)
            with torch.no_grad():
                self.a.weight.clamp_(-0.1, 0.1)
            return super().forward(x + torch.rand(()))

    torch.manual_seed(0)
    net, example = Keeper().train(), torch.rand(4, 6)
    before = {name: one.clone() for name, one in net.state_dict().items()}
    state = torch.get_rng_state()
    trace(net, example)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], one) for name, one in net.state_dict().items())
    masks = prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=example)
    small = compact(net, masks, example)
    for one in (net, small):
        assert (one.steps, one.kept, one.list, one.training) == (0, {}, [], True)
        assert one.past.dtype == torch.float32
        assert not one.past.any()
