"""Statistics are gathered once, on what is given, and the network stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError, UnknownNameError
from secateur.pruning.criterion import Statistics
from secateur.pruning.method import Method, Part
from secateur.pruning.statistics import gather
from secateur.registry import COLLECTORS

TAYLOR = Method("by-slope", "", "", (Part("taylor", "weight", "all", "global"),))
BY_FILTER = Method("by-filter-slope", "", "", (Part("taylor", "channel", "conv", "layer"),))


def mean_square(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def two_weights() -> nn.Module:
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 3.0]]))
    return net


# The output is 1 x 2 + 3 x 0 = 2 and then 1 x 0 + 3 x 1 = 3; both targets are 0, so the gradients
# are 2 x 2 x (2, 0) = (8, 0) and 2 x 3 x (0, 1) = (0, 6).
BATCHES = [
    (torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0]])),
    (torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0]])),
]


def test_a_table_that_can_be_checked_by_hand() -> None:
    found = gather(
        two_weights(), ["gradients", "squared-gradients", "activations"], BATCHES, mean_square
    )
    assert found["gradients"]["weight"].tolist() == [[4.0, 3.0]]
    assert found["squared-gradients"]["weight"].tolist() == [[32.0, 18.0]]
    assert found["activations"]["weight"].tolist() == [2.0**0.5, 0.5**0.5]


def test_taylor_cuts_what_changes_the_loss_least() -> None:
    """Scores 1 x 32 and 9 x 18: the larger gradient belongs to the weight that goes."""
    net = two_weights()
    masks = secateur.prune(net, TAYLOR, sparsity=0.5, data=BATCHES, loss=mean_square)
    assert masks["weight"].tolist() == [[False, True]]
    assert net.weight.tolist() == [[0.0, 3.0]]


def test_whole_channels_by_their_slope() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    batches = [(torch.randn(8, 1, 4, 4), torch.randn(8, 1))]
    slopes = gather(net, ["squared-gradients"], batches, mean_square)["squared-gradients"]
    scores = (net[0].weight.double().square() * slopes["0.weight"]).flatten(1).sum(1)
    masks = secateur.prune(
        *(net, BY_FILTER),
        sparsity=0.5,
        data=batches,
        loss=mean_square,
        example_inputs=batches[0][0],
    )
    kept = masks["0.weight"].flatten(1).any(1)
    assert set(torch.nonzero(kept).flatten().tolist()) == set(scores.topk(2).indices.tolist())


def test_the_network_is_left_as_it_is() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    net[0].weight.requires_grad_(False)
    net.train()
    before, draws = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    gather(net, list(COLLECTORS), BATCHES, mean_square, example_inputs=BATCHES[0][0])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), draws)
    assert all(module.training for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert [one.requires_grad for one in net[0].parameters()] == [False, True]
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_every_batch_counts_once() -> None:
    seen = []

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        seen.append(batch)
        return mean_square(model, batch)

    once = ["gradients", "activations", "output-means", "hessian-diagonal"]
    gather(two_weights(), once, BATCHES, loss)
    assert len(seen) == len(BATCHES)
    gather(two_weights(), ["gradient-flow"], BATCHES, loss)
    assert len(seen) == 3 * len(BATCHES)


@pytest.mark.parametrize(
    ("batches", "loss", "said"),
    [
        ([], mean_square, "the batches is none"),
        (BATCHES, lambda net, batch: net(batch[0]).expand(2, 2), r"of shape \(2, 2\)"),
        (BATCHES, lambda *_: 3.0, "the loss is float"),
        (BATCHES, lambda net, batch: net(batch[0]).sum() * float("nan"), "not finite"),
    ],
)
def test_what_gives_no_statistics_is_refused(batches: object, loss: object, said: str) -> None:
    with pytest.raises(MaskError, match=said):
        gather(two_weights(), ["gradients"], batches, loss)  # type: ignore[arg-type]


def test_a_loss_of_another_network_is_refused() -> None:
    net = two_weights()
    with pytest.raises(MaskError, match="depends on no weight of the network"):
        gather(net, ["gradients"], BATCHES, lambda _, batch: mean_square(net, batch))


def test_what_the_loss_draws_is_fixed_by_the_seed() -> None:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return mean_square(model, batch) * torch.rand(())

    net, draws = two_weights(), torch.get_rng_state()
    one, same, other = (
        gather(net, ["gradients"], BATCHES, loss, seed=seed)["gradients"]["weight"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), draws)


def test_a_matrix_that_an_embedding_shares_has_statistics_where_it_may_be_cut() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    net[1].weight = net[0].weight
    batches = [torch.tensor([1, 2])]

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch).square().sum()

    masks = secateur.prune(net, TAYLOR, sparsity=0.4, tied="prune", data=batches, loss=loss)
    assert masks.zeros == 6


class Recurrent(nn.Module):
    """A recurrent layer, whose state is as wide as its input, and a layer that reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(4, 4)
        self.last = nn.Linear(4, 1)

    def forward(self, sequence: Tensor) -> Tensor:
        return self.last(input=self.memory(sequence)[0])


def test_no_activations_for_weights_that_read_something_else() -> None:
    """`weight_hh` reads the state: the root mean squares of the input are not its own."""
    found = gather(Recurrent(), ["activations"], [torch.ones(2, 3, 4)], lambda m, b: m(b).sum())
    assert list(found["activations"]) == ["last.weight"]


def test_an_unknown_statistic_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'gradients'"):
        gather(two_weights(), ["gradient"], BATCHES, mean_square)


def test_a_need_that_is_missing_is_told_before_anything_is_cut() -> None:
    net = two_weights()
    with pytest.raises(MaskError, match=r"without squared-gradients, which .* 'taylor' needs"):
        secateur.prune(net, TAYLOR, sparsity=0.5)
    assert net.weight.tolist() == [[1.0, 3.0]]


def test_statistics_may_be_given() -> None:
    given = Statistics(gathered={"squared-gradients": {"weight": torch.tensor([[100.0, 1.0]])}})
    masks = secateur.prune(two_weights(), TAYLOR, sparsity=0.5, statistics=given)
    assert masks["weight"].tolist() == [[True, False]]
