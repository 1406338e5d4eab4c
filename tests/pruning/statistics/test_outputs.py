"""Statistics of outputs against their formulas, in numpy float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.statistics import gather, outputs


def mean_square(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().mean()


def two_convolutions(inplace: bool) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(inplace), nn.Conv2d(3, 2, 2), nn.ReLU())


BATCHES = [torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(n)) for n in (1, 2)]


def maps_of(net: nn.Sequential) -> np.ndarray:
    with torch.no_grad():
        found = torch.cat([net[:2](batch) for batch in BATCHES])
    return found.numpy().astype(np.float64)


@pytest.mark.parametrize("inplace", [False, True])
def test_the_formulas(inplace: bool) -> None:
    net = two_convolutions(inplace)
    names = ["output-means", "positive-outputs", "output-ranks", "output-slopes"]
    found = {
        name: table["0.weight"].numpy()
        for name, table in gather(net, names, BATCHES, mean_square).items()
    }
    maps = maps_of(net)
    np.testing.assert_allclose(found["output-means"], maps.mean(axis=(0, 2, 3)), rtol=1e-6)
    assert found["positive-outputs"].tolist() == (maps > 0).mean(axis=(0, 2, 3)).tolist()
    ranks = np.linalg.matrix_rank(maps).mean(axis=0)
    assert found["output-ranks"].tolist() == ranks.tolist()
    np.testing.assert_allclose(found["output-slopes"], slopes_of(net), rtol=1e-5)


def slopes_of(net: nn.Sequential) -> Any:
    """Example by example, with a loss of its own: |sum over places of dC/dz z|."""
    effects = []
    for batch in BATCHES:
        for example in batch.split(1):
            maps = net[:2](example).detach().requires_grad_()
            mean_square(net[2:], maps).backward()  # type: ignore[no-untyped-call]
            assert maps.grad is not None
            products = (maps * maps.grad).detach().numpy().astype(np.float64)
            effects.append(np.abs(products.sum(axis=(2, 3)))[0])
    return np.mean(effects, axis=0)


def test_a_table_by_hand() -> None:
    """Inputs 1 and -1 times weights 2 and -3, behind a ReLU: 2 and 0, then 0 and 3."""
    net = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[2.0], [-3.0]]))
        net[2].weight.copy_(torch.tensor([[1.0, 1.0]]))
    batches = [torch.tensor([[1.0], [-1.0]])]
    names = ["output-means", "positive-outputs", "output-slopes"]
    # The loss is the mean of the outputs: an example's own is its output, of slope 1.
    found = gather(net, names, batches, lambda model, batch: model(batch).mean())
    assert {name: table["0.weight"].tolist() for name, table in found.items()} == {
        "output-means": [1.0, 1.5],
        "positive-outputs": [0.5, 0.5],
        "output-slopes": [1.0, 1.5],
    }


def test_ranks_are_of_the_first_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five of them: the first batch, and one of the second."""
    monkeypatch.setattr(outputs, "RANKED", 5)
    net = two_convolutions(inplace=False)
    found = gather(net, ["output-ranks"], BATCHES, mean_square)["output-ranks"]["0.weight"]
    assert found.tolist() == np.linalg.matrix_rank(maps_of(net)[:5]).mean(axis=0).tolist()


def test_layers_without_maps_have_no_rank() -> None:
    net = nn.Sequential(nn.Conv1d(1, 2, 1), nn.Flatten(), nn.Linear(6, 1))
    with pytest.raises(MaskError, match="without output-ranks"):
        secateur.prune(
            net,
            "hrank",
            sparsity=0.5,
            example_inputs=torch.ones(1, 1, 3),
            data=[torch.ones(1, 1, 3)],
            loss=mean_square,
        )


def test_a_net_of_which_nothing_is_active_is_refused() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        net[0].bias.fill_(-9)
        net[0].weight.zero_()
        net[2].weight.zero_()
    with pytest.raises(MaskError, match="zero for every weight of the network"):
        gather(net, ["positive-outputs"], [torch.ones(1, 1)], mean_square)
