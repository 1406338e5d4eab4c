from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from secateur.errors import MaskError
from secateur.pruning.statistics import gather
from secateur.pruning.statistics.input_moments import ROWS


def of_outputs(model: nn.Module, batch: Tensor) -> Tensor:
    found = model(batch)
    return (found[0] if isinstance(found, tuple) else found).sum()


def moments_of(net: nn.Module, *batches: Any) -> dict[str, Tensor]:
    return gather(net, ["input-moments"], batches, of_outputs)["input-moments"]


def of_rows(rows: Tensor) -> np.ndarray[Any, Any]:
    """The mean of `x x^T` over `[rows, n]`."""
    given = rows.numpy().astype(np.float64)
    return np.asarray(given.T @ given / len(given))


def test_by_hand() -> None:
    found = moments_of(nn.Linear(2, 3), torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0]]))
    assert found["weight"].tolist() == [[[5.0, 1.0], [1.0, 2.0]]]


@pytest.mark.parametrize("leading", [(), (7,), (2, 3), (2, 1, 4)])
def test_a_linear_layer_of_any_leading_shape(leading: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    batches = [torch.randn(*leading, 4) for _ in range(3)]
    found = moments_of(nn.Linear(4, 2), *batches)["weight"]
    rows = torch.cat([one.reshape(-1, 4) for one in batches])
    np.testing.assert_allclose(found[0].numpy(), of_rows(rows), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": 1, "stride": 2},
        {"padding": 1, "dilation": 2},
        {"padding": 1, "groups": 2},
        {"padding": "same", "padding_mode": "circular", "groups": 4},
    ],
)
def test_a_convolution_is_unfolded(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(4, 4, 3, **options).double()
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    found = moments_of(net, x)["weight"]
    padded = x
    if net.padding == "same":
        padded = functional.pad(x, (1, 1, 1, 1), mode="circular")
    elif isinstance(net.padding, tuple):
        padded = functional.pad(x, (net.padding[1],) * 2 + (net.padding[0],) * 2)
    patches = functional.unfold(padded, 3, dilation=net.dilation, stride=net.stride)
    rows = patches.transpose(1, 2).reshape(-1, net.groups, found.shape[1])
    for group in range(net.groups):
        np.testing.assert_allclose(found[group].numpy(), of_rows(rows[:, group]), atol=1e-12)


def test_of_many_places_some_are_drawn_the_same_ones_each_time() -> None:
    torch.manual_seed(0)
    net, x = nn.Conv1d(1, 1, 2), torch.randn(2, 1, ROWS)
    first, second = (moments_of(net, x)["weight"] for _ in range(2))
    assert torch.equal(first, second)
    rows = x.unfold(2, 2, 1).reshape(-1, 2)
    whole = of_rows(rows)
    assert not np.allclose(first[0].numpy(), whole, atol=1e-6)
    assert np.abs(first[0].numpy() - whole).max() < 4 / ROWS**0.5


def test_a_shared_weight_has_the_inputs_of_all_that_share_it() -> None:
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    found = moments_of(nn.Sequential(first, second), torch.tensor([[1.0, 3.0]]))
    assert found["0.weight"].tolist() == [[[5.0, 3.0], [3.0, 5.0]]]


class _Own(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return functional.linear(input, self.weight - self.weight.mean())


def test_layers_whose_weight_is_not_what_their_input_meets_are_left_out() -> None:
    net = nn.ModuleDict(
        {
            "own": _Own(2, 2),
            "computed": weight_norm(nn.Linear(2, 2)),
            "transposed": nn.ConvTranspose1d(2, 2, 1),
            "idle": nn.Linear(2, 2),
            "plain": nn.Linear(2, 2),
        }
    )

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        for name in ("own", "computed", "plain"):
            batch = model.get_submodule(name)(batch)
        return model.get_submodule("transposed")(batch[..., None]).sum()

    found = gather(net, ["input-moments"], [torch.ones(3, 2)], loss)
    assert list(found["input-moments"]) == ["plain.weight"]


def test_inputs_that_are_not_finite_are_named() -> None:
    with pytest.raises(MaskError, match="weight is with input-moments that are not finite"):
        moments_of(nn.Linear(2, 2), torch.tensor([[1.0, float("nan")]]))


def test_inputs_that_are_zero_everywhere_are_refused() -> None:
    with pytest.raises(MaskError, match="input-moments is zero for every weight of the network"):
        moments_of(nn.Linear(2, 2), torch.zeros(3, 2))
