"""Tracing: groups, roles, layers, reports, and what cannot be traced."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import zoo_convs  # noqa: F401
import zoo_joins  # noqa: F401
import zoo_sequences  # noqa: F401
from torch import Tensor, nn
from torch.nn import functional
from zoo import Net, grow

import secateur
from secateur.channels import trace
from secateur.channels.labels.axis_labels import TensorLabels
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import OPERATORS
from secateur.channels.tracing.run import record
from secateur.errors import ChannelError


def test_slots_of_a_small_network() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 1),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8, 3),
        nn.Linear(3, 2),
    )
    found = trace(net, torch.zeros(1, 1, 2, 2))
    groups = found.groups("all")
    assert groups.layers == ("0", "4")
    assert groups.layer.tolist() == [0, 0, 1, 1, 1]
    assert {(s.parameter, s.axis, s.role): s.groups.tolist() for s in groups.slots} == {
        ("0.weight", 0, "write"): [0, 1],
        ("0.bias", 0, "affine"): [0, 1],
        ("1.weight", 0, "affine"): [0, 1],
        ("1.bias", 0, "affine"): [0, 1],
        ("4.weight", 0, "write"): [2, 3, 4],
        ("4.weight", 1, "read"): [0, 0, 0, 0, 1, 1, 1, 1],
        ("4.bias", 0, "affine"): [2, 3, 4],
        ("5.weight", 1, "read"): [2, 3, 4],
    }
    assert found.groups("conv").count == 2
    assert [(pin.operator, pin.channels) for pin in found.report] == [("the network's output", 2)]


def test_a_residual_stage_is_one_set_of_groups() -> None:
    model, example = grow("residual")
    groups = trace(model, example).groups()
    assert groups.layers == ("a", "b")
    assert torch.bincount(groups.layer).tolist() == [8, 6]


def test_heads_are_whole() -> None:
    model, example = grow("attention_by_hand")
    groups = trace(model, example).groups("all")
    by_name = {(s.parameter, s.axis): s.groups for s in groups.slots}
    assert groups.count == 3
    assert by_name["qkv.weight", 0].view(3, 3, 4).tolist() == [[[h] * 4 for h in range(3)]] * 3


@pytest.mark.parametrize("name", ["grouped_queries", "grouped_queries_repeated"])
def test_a_head_of_keys_goes_with_all_the_queries_that_read_it(name: str) -> None:
    model, example = grow(name)
    groups = trace(model, example).groups("all")
    by_name = {(s.parameter, s.axis): s.groups.tolist() for s in groups.slots}
    assert groups.count == 2
    assert by_name["q.weight", 0] == by_name["o.weight", 1] == [0] * 12 + [1] * 12
    assert by_name["k.weight", 0] == by_name["v.weight", 0] == [0] * 4 + [1] * 4


def test_the_width_of_heads_goes_where_their_number_is_literal() -> None:
    model, example = grow("attention_literal_heads")
    groups = trace(model, example).groups("all")
    values = next(s.groups for s in groups.slots if s.parameter == "v.weight" and s.axis == 0)
    assert values.view(3, 4).tolist() == [values[:4].tolist()] * 3


def test_the_report_names_what_pins() -> None:
    model, example = grow("vision_transformer")
    report = trace(model, example).report
    assert any(pin.operator.startswith("layer_norm") and pin.path == "block.n1" for pin in report)


def test_tracing_leaves_no_trace() -> None:
    net = nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(inplace=True), nn.Linear(3, 2)
    ).train()
    net[1].eval()
    before = [value.clone() for value in net.state_dict().values()]
    example = torch.randn(4, 2)
    kept = example.clone()
    trace(net, example)
    assert [module.training for module in net] == [True, False, True, True]
    assert all(torch.equal(a, b) for a, b in zip(before, net.state_dict().values(), strict=True))
    assert torch.equal(example, kept)
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_control_flow_on_data_is_refused() -> None:
    net = Net(
        lambda m, x: m.b(m.a(x)) if m.a(x).sum() > 0 else x, a=nn.Linear(2, 3), b=nn.Linear(3, 2)
    )
    with pytest.raises(ChannelError, match="branch on the value of an activation"):
        trace(net, torch.ones(1, 2))


def test_a_model_that_fails_is_named() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 2))
    with pytest.raises(ChannelError, match="tracing channels: 1 is failing on the example"):
        trace(net, torch.ones(1, 2))


def test_a_network_pinned_as_a_whole_is_refused() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    with pytest.raises(ChannelError, match=r"layer_norm .averages channels. in 1"):
        trace(net, torch.ones(1, 4)).groups("all")


def test_unknown_operators_pin_and_are_named() -> None:
    net = Net(
        lambda m, x: m.c(functional.relu(m.b(torch.fft.fft(m.a(x)).real))),
        a=nn.Linear(2, 4),
        b=nn.Linear(4, 5),
        c=nn.Linear(5, 2),
    )
    found = trace(net, torch.ones(1, 2))
    pin = next(pin for pin in found.report if pin.channels == 4)
    assert pin.operator.startswith("fft_fft (no rule, test_trace.py:")
    assert found.groups("all").layers == ("b",)


class Guarded(nn.Module):
    """Clamps what has overflowed, and checks sizes that it wrote into a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        sizes = torch.empty(2, dtype=torch.long)
        sizes[0], sizes[1] = x.shape
        if sizes.prod() != x.numel():
            raise ValueError
        y = self.a(x)
        if not torch.isfinite(y).all() or bool((y.isnan() | y.isinf()).any()):
            y = y.clamp(-1e4, 1e4)
        return self.b(y)


def test_a_question_whether_values_are_finite_is_no_branch_on_them() -> None:
    assert trace(Guarded(), torch.randn(4, 3)).groups("all").count == 8


class GroupedHeads(nn.Module):
    """Queries, keys and values of each group in one weight, sizes by two attributes (Falcon)."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.groups, self.width = 6, 3, 4
        self.qkv, self.out = nn.Linear(5, 48), nn.Linear(24, 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).view(len(x), -1, self.heads // self.groups + 2, self.width)
        query, key, value = parts[:, :, :-2], parts[:, :, [-2]], parts[:, :, [-1]]
        return self.out((query * key.sigmoid() + value).flatten(1))


class Texts(nn.Module):
    """Takes a layer by a number in a tensor, on whatever device the tensor is."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"layer_0": nn.Linear(3, 8), "layer_1": nn.Linear(8, 8)})
        self.width, self.head = 8, nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        for number in torch.arange(2, device=x.device):
            with torch.autocast(x.device.type, enabled=False):
                x = self.layers[f"layer_{number}"](x).relu()
        return self.head(x.view(-1, self.width))


@pytest.mark.parametrize("net", [GroupedHeads(), Texts()], ids=["grouped_heads", "texts"])
def test_what_a_dry_run_cannot_see_is_played(net: nn.Module) -> None:
    x = torch.randn(4, 5 if isinstance(net, GroupedHeads) else 3)
    masks = secateur.prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters())
    torch.testing.assert_close(small(x), net(x))


class Depthwise(nn.Module):
    """Heads, then a convolution of groups: what is chosen at the heads adds choices or not."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(4, 12, 1), nn.Conv1d(12, 24, 3, groups=6)
        self.c, self.d = nn.Conv1d(24, 24, 1, groups=24), nn.Conv1d(24, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y = y.view(len(x), 3, 4, -1).softmax(1).flatten(1, 2)
        return self.d(self.c(self.b(y)).relu())


def test_choices_are_known_by_their_place() -> None:
    net, x = Depthwise(), torch.randn(2, 4, 7)
    first, second = (
        record(net, x, choices=choices) for choices in ({}, {(0, 0): 1, (1, 0): 1, (4, 0): 9})
    )
    places = [choice.place for choice in first.choices]
    assert len(set(places)) == len(places)
    assert all(choice.taken < choice.options for choice in second.choices)
    assert trace(net, x).groups("all").count > 0


def test_what_fails_in_a_rule_is_pinned_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(call: Call) -> TensorLabels:
        raise KeyError(call.name)

    def misfit(call: Call) -> TensorLabels:
        return TensorLabels((None,) * (call.out.dim() + 1))

    net, x = (
        nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)),
        torch.ones(2, 3),
    )
    for rule in (wrong, misfit):
        monkeypatch.setitem(OPERATORS, "relu", replace(OPERATORS["relu"], rule=rule))
        traced = trace(net, x)
        assert traced.groups("all").count == 8
        assert any("in its rule, test_trace.py:" in pin.operator for pin in traced.report)


class Sawed(nn.Module):
    """A layer whose zeros do not stay zeros: found only where that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.a(x))
        out: Tensor = self.c(torch.cos(self.b(y)) * x.sum())
        return out


def test_a_trace_that_is_made_exact_is_the_exact_one() -> None:
    torch.manual_seed(0)
    net, x = Sawed().eval(), torch.rand(3, 4)
    loose, exact = trace(net, x, exact=False), trace(net, x)
    assert loose.groups("all").count > exact.groups("all").count
    assert not loose.is_exact
    made = loose.exactly(net, x)
    assert made.is_exact
    assert list(made.report) == list(exact.report)
    found, expected = made.groups("all"), exact.groups("all")
    assert found.layers == expected.layers
    assert torch.equal(found.layer, expected.layer)


def test_a_training_pass_that_names_its_arguments_is_known_for_the_same() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.flatten(input=torch.clamp(self.a(x), max=3.0), start_dim=1)
            out: Tensor = self.b(y)
            return out

    assert len(trace(Named(), torch.rand(3, 4)).state.tape.passes) == 1


def test_channels_that_an_embedding_computes_too_are_of_the_wider_scope() -> None:
    class Stream(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(9, 8)
            self.inner = nn.Conv1d(8, 8, 3, padding=1)
            self.outer = nn.Conv1d(8, 5, 1)

        def forward(self, tokens: Tensor) -> Tensor:
            hidden = self.embedding(tokens).transpose(1, 2)
            return self.outer(hidden + self.inner(hidden))  # type: ignore[no-any-return]

    tokens = torch.zeros(2, 4, dtype=torch.long)
    found = trace(Stream(), tokens)
    with pytest.raises(ChannelError, match=r"Choose scope='all': 8 channels may go"):
        found.groups()
    assert found.groups("all").count == 8
    net = Stream().eval()
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=tokens)
    small = secateur.compact(net, masks, tokens)
    assert torch.allclose(small(tokens), net(tokens), atol=1e-6)
    assert small.inner.out_channels == 4
