"""Least squares: by hand, against torch's own solution, and what is left alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import TrainingError
from secateur.pruning.masks import Masks
from secateur.pruning.repairs import equations, least_squares
from secateur.pruning.repairs.equations import RIDGE


def test_by_hand_without_a_bias() -> None:
    net = nn.Linear(2, 1, bias=False)
    nn.init.ones_(net.weight)
    masks = Masks({"weight": torch.tensor([[True, False]])}).apply(net)
    secateur.repair(net, masks, [torch.tensor([[1.0, 2.0], [2.0, 4.0]])], "least-squares")
    # The second input, twice the first, is missing: sum x r = 10, sum x x = 5.
    assert net.weight[0, 0].item() == pytest.approx(1 + 10 / (5 + RIDGE * 5))
    assert net.weight[0, 1].item() == 0.0


def test_by_hand_with_a_bias_that_takes_the_mean() -> None:
    net = nn.Linear(2, 1)
    nn.init.ones_(net.weight)
    nn.init.zeros_(net.bias)
    masks = Masks({"weight": torch.tensor([[True, False]])}).apply(net)
    x = torch.tensor([[0.0, 5.0], [2.0, 9.0]])
    secateur.repair(net, masks, [x], "least-squares")
    # Centred: x is -1 and 1, what is missing -2 and 2, and 7 in the mean, where x is 1.
    change = 4 / (2 + RIDGE * 2)
    assert net.weight[0, 0].item() == pytest.approx(1 + change)
    assert net.bias.item() == pytest.approx(7 - change)


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv": (nn.Conv2d(3, 4, 3, padding=1, stride=2, bias=False), (3, 7, 6)),
    "dilated": (nn.Conv2d(3, 4, 2, dilation=2, bias=False), (3, 6, 6)),
    "grouped": (nn.Conv1d(4, 6, 3, groups=2, bias=False), (4, 8)),
    "depthwise, circular": (
        nn.Conv2d(4, 4, 3, groups=4, padding=1, padding_mode="circular", bias=False),
        (4, 5, 5),
    ),
    "same": (nn.Conv1d(2, 3, 5, padding="same", bias=False), (2, 9)),
    "linear": (nn.Linear(6, 4, bias=False), (6,)),
    "linear of sequences": (nn.Linear(6, 4, bias=False), (5, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_no_other_weights_come_nearer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a ridge, at all places, the error is least: it rises whichever way one goes."""
    monkeypatch.setattr(equations, "RIDGE", 1e-12)
    monkeypatch.setattr("secateur.pruning.layer_rows.PLACES", 1000)
    layer, shape = LAYERS[name]
    torch.manual_seed(0)
    net = nn.Sequential(layer).double()
    x = torch.randn(40, *shape, dtype=torch.float64)
    before = net(x).detach()
    masks = Masks({"0.weight": torch.rand(layer.weight.shape) > 0.4}).apply(net)

    def error() -> Tensor:
        with torch.no_grad():
            return (net(x) - before).square().sum()

    cut = error()
    secateur.repair(net, masks, [x], "least-squares")
    least = error()
    assert least < cut
    mask = masks["0.weight"]
    for _ in range(5):
        step = 1e-3 * torch.randn(mask.shape, dtype=torch.float64) * mask
        layer.weight.data.add_(step)
        assert error() > least
        layer.weight.data.sub_(step)


def test_redundant_channels_are_made_up_for() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3))
    with torch.no_grad():  # two channels are copies of the others
        net[0].weight[2:], net[0].bias[2:] = net[0].weight[:2], net[0].bias[:2]
    x = torch.randn(64, 1, 8, 8)
    dense = net(x).detach()
    gone = torch.tensor([True, True, False, False])
    masks = Masks(
        {"0.weight": gone.view(4, 1, 1, 1).expand(4, 1, 3, 3).clone(), "0.bias": gone}
    ).apply(net)
    cut = float((net(x) - dense).norm().detach())
    done = secateur.repair(net, masks, x.split(16), "least-squares")
    assert done[0].layers == ("2",)
    assert float((net(x) - dense).norm().detach()) < 0.02 * cut
    small = secateur.compact(net, masks, x[:2])
    assert small[0].out_channels == 2
    assert torch.allclose(small(x), net(x), atol=1e-5)


def test_what_is_left_alone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "AFFORDABLE", 10)
    monkeypatch.setattr(least_squares, "LARGEST", 20)
    net = nn.Sequential(
        nn.ConvTranspose1d(1, 2, 1), nn.Flatten(), nn.Linear(24, 8), nn.Linear(8, 4),
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 4),
    )  # fmt: skip
    masks = Masks({"3.weight": torch.rand(4, 8) > 0.5}).apply(net)
    (done,) = secateur.repair(net, masks, [torch.randn(6, 1, 12)], "least-squares")
    assert dict(done.left) == {
        "0": "it is a transposed convolution",
        "2": "24 unknowns of an output are too many",
        "3": "its rows keep different weights, and a system of equations for each is too much",
        "4": "its weight is not its own",
    }
    assert done.layers == ("5",)


def test_a_layer_that_has_seen_enough_ends_the_pass() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    masks = Masks({"0.weight": torch.tensor([[True, False], [True, True]])}).apply(net)
    seen = []

    def batches():  # type: ignore[no-untyped-def]
        for number in range(10):
            seen.append(number)
            yield torch.randn(20, 2)

    class Again:
        def __iter__(self):  # type: ignore[no-untyped-def]
            return batches()

    secateur.repair(net, masks, Again(), "least-squares")
    assert seen == [0, 1]


def test_activations_that_are_not_finite_are_named() -> None:
    net = nn.Linear(2, 1)
    before = net.weight.detach().clone()
    masks = Masks({"weight": torch.tensor([[True, False]])}).apply(net)
    with pytest.raises(TrainingError, match="the activations of the network is not finite"):
        secateur.repair(net, masks, [torch.tensor([[1.0, float("inf")]])], "least-squares")
    assert torch.equal(net.weight[0, 0], before[0, 0])
