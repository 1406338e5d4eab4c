"""What the check would refuse is found before anything is zeroed, and the rest is cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cutting import leaves
from torch import Tensor, nn
from torch.nn import functional

from secateur import compact, prune
from secateur.channels import compact_with_record
from secateur.channels.compaction.cutting import Cutter
from secateur.channels.rebuild import throwaway
from secateur.errors import ChannelError


class Net(nn.Module):
    """Layers by name, and a forward pass given as a function."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **layers: Any) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = forward

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def convs(run: Callable[[Any, Tensor], Any], **more: Any) -> Net:
    return Net(run, a=nn.Conv2d(3, 16, 1), b=nn.Conv2d(16, 8, 1), fc=nn.Linear(8, 4), **more).eval()


def end(net: Any, y: Tensor) -> Tensor:
    return net.fc(net.b(y).relu().mean((2, 3)))


def aux(net: Any, x: Tensor) -> Any:
    x = net.a(x).relu()
    return (end(net, x), net.aux(x.mean((2, 3)))) if net.training else end(net, x)


def width_as_scale(net: Any, x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    y = net.a(x).relu().view(n, net.dim, h * w) * net.dim**-0.5
    return end(net, y.view(n, net.dim, h, w))


def width_by_math(net: Any, x: Tensor) -> Tensor:
    y = net.a(x).relu()
    return end(net, y / math.sqrt(y.shape[1]))


def width_by_tensor(net: Any, x: Tensor) -> Tensor:
    y = net.a(x).relu()
    return end(net, y * torch.rsqrt(torch.tensor(y.size(1), dtype=y.dtype)))


def width_of_the_weight(net: Any, x: Tensor) -> Tensor:
    return end(net, net.a(x).relu() * net.b.weight.shape[1] ** -0.5)


def width_by_numpy(net: Any, x: Tensor) -> Tensor:
    y = net.a(x).relu()
    return end(net, y + torch.linspace(0, 1, len(y[0])).mean() / len(y[0]))


def features(net: Any, x: Tensor) -> Tensor:
    y = net.a(x).relu()
    net.kept["deep"] = [y]
    net.last = y
    return end(net, y)


def lenet(net: Any, x: Tensor) -> Tensor:
    x = functional.max_pool2d(net.conv1(x), 2).relu()
    x = functional.max_pool2d(net.conv2(x), 2).relu()
    return net.fc2(net.fc1(x.view(-1, net.fc1.in_features)).relu())


def cut(net: nn.Module, x: Tensor, sparsity: float = 0.4) -> tuple[nn.Module, int]:
    """The compact network, the same function as the masked one; and what it lost."""
    masks = prune(net, "l1-filter", sparsity=sparsity, scope="all", example_inputs=x)
    small = compact(net, masks, x)
    for training in (False, True):
        pair = (throwaway(one).train(training)(x) for one in (small, net))
        for given, expected in zip(*map(leaves, pair), strict=True):
            torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)
    size, left = (sum(p.numel() for p in one.parameters()) for one in (net, small))
    return small, size - left


@pytest.mark.parametrize(
    ("build", "stays"),
    [
        (lambda: convs(aux, aux=nn.Linear(16, 4)), None),
        (lambda: convs(width_as_scale, dim=16), "a"),
        (lambda: convs(width_by_math), "a"),
        (lambda: convs(width_by_tensor), "a"),
        (lambda: convs(width_of_the_weight), "a"),
        (lambda: convs(width_by_numpy), "a"),
        (lambda: convs(features, kept={}, last=None), None),
    ],
)
def test_what_cannot_follow_stays_and_the_rest_is_cut(
    build: Callable[[], nn.Module], stays: str | None
) -> None:
    torch.manual_seed(0)
    net, x = build(), torch.randn(2, 3, 6, 6)
    net(x)
    small, lost = cut(net, x)
    assert lost > 0
    if stays is None:
        assert small.a.out_channels < 16
    else:
        assert small.a.out_channels == 16
        assert bool(net.a.weight.ne(0).flatten(1).any(1).all())  # and nothing of it was zeroed


def test_the_report_names_operator_and_line_and_compact_needs_no_second_search() -> None:
    torch.manual_seed(0)
    net, x = convs(width_by_math), torch.randn(2, 3, 6, 6)
    masks = prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=x)
    assert "div at test_cutting.py" in str(masks.report)
    assert masks.traced.verified is not None
    assert compact_with_record(net, masks, x).report


def test_an_unchanged_network_is_not_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net, x = convs(lambda m, x: end(m, m.a(x).relu())), torch.randn(2, 3, 6, 6)
    masks = prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=x)
    made = []
    run = Cutter.run
    monkeypatch.setattr(Cutter, "run", lambda *given, **more: made.append(1) or run(*given, **more))  # type: ignore[func-returns-value]
    compact(net, masks, x)
    assert not made
    with torch.no_grad():
        net.a.weight.data[-1] += 1e-7
    small = compact(net, masks, x)
    assert made
    torch.testing.assert_close(small(x), net(x))


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 64])
def test_a_size_that_a_view_swallows_by_accident_is_no_other_size(batch: int) -> None:
    torch.manual_seed(0)
    net = Net(
        lenet,
        conv1=nn.Conv2d(1, 10, 5),
        conv2=nn.Conv2d(10, 20, 5),
        fc1=nn.Linear(320, 50),
        fc2=nn.Linear(50, 10),
    ).eval()
    small, _ = cut(net, torch.randn(batch, 1, 28, 28))
    assert small.conv2.out_channels == 12


@pytest.mark.parametrize("seed", range(3))
def test_complex_outputs_are_compared_by_magnitude(seed: int) -> None:
    torch.manual_seed(seed)
    net = convs(lambda m, x: torch.complex(*end(m, m.a(x).relu()).chunk(2, 1)))
    assert cut(net, torch.randn(2, 3, 6, 6))[1] > 0


def test_the_last_channel_that_a_reader_has_is_kept_by_prune() -> None:
    def split(net: Any, x: Tensor) -> Tensor:
        left, right = net.a(x).relu().split(net.sizes, dim=1)
        return net.fc((net.small(left) + net.large(right)).relu().mean((2, 3)))

    torch.manual_seed(0)
    net = convs(split, sizes=[2, 14], small=nn.Conv2d(2, 8, 1), large=nn.Conv2d(14, 8, 1))
    with torch.no_grad():
        net.a.weight[:2] *= 0.1
    x = torch.randn(2, 3, 6, 6)
    masks = prune(net, "l1-filter", sparsity=0.3, example_inputs=x)
    assert masks["a.weight"].flatten(1).any(1)[:2].any()
    assert "small" in masks.floored
    assert compact(net, masks, x).small.in_channels == 1


@pytest.mark.parametrize("sparsity", [0.0, 0.3])
@pytest.mark.parametrize("zero", [0, 2])
def test_a_layer_of_zeros_folds_and_refuses_nothing(sparsity: float, zero: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 4)
    ).eval()
    nn.init.zeros_(net[zero].weight)
    assert cut(net, torch.randn(3, 8), sparsity)[1] > 0


@pytest.mark.parametrize("whole", [True, False])
def test_compiled_networks_are_taken_apart(whole: bool) -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    net = nn.Sequential(inner, nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)).eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        if whole:
            net = torch.compile(net, backend="eager")  # type: ignore[assignment]
        else:
            net[0] = torch.compile(inner, backend="eager")
        x = torch.randn(2, 3, 8, 8)
        masks = prune(net, "l1-filter", sparsity=0.4, example_inputs=x)
        small = compact(net, masks, x)
    assert not any("_orig_mod" in name for name in (*masks, *small.state_dict()))
    assert small[0][0].out_channels < 8
    assert not inner[0].weight.flatten(1).any(1).all()


def test_nothing_that_can_go_is_an_error_before_anything_is_zeroed() -> None:
    torch.manual_seed(0)
    net = Net(
        lambda m, x: m.b(m.a(x).relu() / math.sqrt(m.b.in_features)),
        a=nn.Linear(4, 8),
        b=nn.Linear(8, 2),
    ).eval()
    before = [one.clone() for one in net.parameters()]
    with pytest.raises(ChannelError) as caught:
        prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=torch.randn(2, 4))
    assert "report this" not in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_something_that_cannot_be_copied_is_said_in_our_words() -> None:
    net = convs(lambda m, x: end(m, m.a(x)), items=(one for one in ()))
    with pytest.raises(ChannelError, match=r"items is something that Python cannot copy"):
        prune(net, "l1-filter", sparsity=0.4, example_inputs=torch.randn(2, 3, 6, 6))
