"""What counts as a weight: what torch's layers multiply with, and what a pass shows of others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

import secateur
from secateur.pruning.masks import Masks
from secateur.pruning.weights import prunable_weights
from secateur.verbs.left_out import CutWarning


class Own(nn.Module):
    """A layer of one's own, with a matrix, a scale, a table and a bias."""

    def __init__(self, matrix: str = "projection") -> None:
        super().__init__()
        self.name = matrix
        setattr(self, matrix, nn.Parameter(torch.randn(8, 6)))
        self.scale, self.shift = nn.Parameter(torch.ones(1, 8)), nn.Parameter(torch.zeros(8))
        self.position = nn.Parameter(torch.randn(5, 6))

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.position[: x.shape[1]]
        out: Tensor = (y @ getattr(self, self.name).T) * self.scale + self.shift
        return out


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Parameter(torch.randn(2, 6, 8)), nn.Parameter(torch.randn(2, 8, 6))

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(torch.relu(torch.bmm(x.expand(2, -1, -1), self.up)), self.down).sum(0)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
        self.head.weight = self.embed.weight
        self.inner = nn.Linear(8, 8)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(torch.relu(self.inner(self.embed(ids))))
        return out


NETS = {
    "Conv1D": (Conv1D(8, 6), {"weight"}),
    "LSTMCell": (nn.LSTMCell(6, 4), {"weight_ih", "weight_hh"}),
    "GRUCell": (nn.GRUCell(6, 4), {"weight_ih", "weight_hh"}),
    "attention": (nn.MultiheadAttention(8, 2), {"in_proj_weight", "out_proj.weight"}),
    "a layer of one's own": (Own(), {"projection"}),
    "experts": (Experts(), {"up", "down"}),
    "a table": (nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)), {"1.weight"}),
}


@pytest.mark.parametrize("title", NETS)
def test_weights_are_what_activations_are_multiplied_with(title: str) -> None:
    model, names = NETS[title]
    assert set(prunable_weights(model)) == names


def test_a_pass_shows_what_a_name_does_not_tell() -> None:
    model, x = Own("scaling"), torch.randn(2, 5, 6)
    assert set(prunable_weights(nn.Sequential(model, nn.Linear(8, 2)))) == {"1.weight"}
    assert set(prunable_weights(model, example_inputs=x)) == {"scaling"}
    masks = secateur.prune(model, "magnitude", sparsity=0.5, example_inputs=x)
    assert (masks.zeros, masks.total) == (24, 48)


def test_most_of_a_network_left_out_is_said() -> None:
    model = nn.Sequential(Own("scaling"), nn.Linear(8, 2))
    with pytest.warns(CutWarning, match=r"0\.scaling"):
        secateur.prune(model, "magnitude", sparsity=0.5)


def test_a_tied_table_is_kept_unless_asked() -> None:
    assert set(prunable_weights(Tied())) == {"inner.weight"}
    assert len(prunable_weights(Tied(), tied="prune")) == 2
    kept = secateur.prune(Tied(), "magnitude", sparsity=0.5)
    cut = secateur.prune(Tied(), "magnitude", sparsity=0.5, tied="prune")
    assert (kept.total, cut.total) == (64, 64 + 160)


def test_masks_of_a_loaded_network_hold_its_weights_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.bias)
    masks = secateur.prune(model, "magnitude", sparsity=0.8)
    found = Masks.of(model)
    assert set(found) == {"0.weight", "2.weight"}
    assert all(torch.equal(found[name], masks[name]) for name in found)
    optimizer = torch.optim.Adam(model.parameters())
    found.freeze(optimizer)
    functional.mse_loss(model(torch.randn(8, 16)), torch.ones(8, 4)).backward()
    optimizer.step()
    assert secateur.sparsity(model).prunable.zeros == masks.zeros
    assert bool((model[2].bias != 0).any())


def test_masks_are_saved_as_plain_tensors(tmp_path) -> None:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    masks = secateur.prune(model, "magnitude", sparsity=0.8)
    torch.save(masks.state_dict(), tmp_path / "masks.pt")
    back = Masks(torch.load(tmp_path / "masks.pt", weights_only=True))
    assert all(torch.equal(back[name], masks[name]) for name in masks)
