"""The modules: forward, conversion, state dicts, a weight that changes."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from secateur import SparseConv2d, SparseLinear
from secateur.errors import KernelError


def pruned(layer: nn.Module, sparsity: float = 0.8) -> nn.Module:
    with torch.no_grad():
        layer.weight.mul_(torch.rand_like(layer.weight) >= sparsity)
    return layer


def pairs() -> list[tuple[nn.Module, nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    linear = pruned(nn.Linear(20, 9))
    same = pruned(nn.Conv2d(3, 5, (4, 3), padding="same", dilation=(1, 2), bias=False))
    strided = pruned(nn.Conv2d(3, 5, 3, stride=2, padding=(1, 2)))
    valid = pruned(nn.Conv2d(3, 5, 1, padding="valid"))
    images = torch.randn(3, 3, 9, 8)
    convs = [(conv, SparseConv2d(conv), images) for conv in (same, strided, valid)]
    return [(linear, SparseLinear(linear), torch.randn(4, 20)), *convs]


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch's own, of its own copy
@pytest.mark.parametrize(("dense", "sparse", "x"), pairs())
def test_it_is_the_dense_layer(dense: nn.Module, sparse: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(sparse(x), dense(x))
        torch.testing.assert_close(sparse(x[0]), dense(x[0]))
    assert torch.equal(sparse.weight, dense.weight)
    back = sparse.to_dense()
    assert repr(back) == repr(dense)
    assert all(map(torch.equal, back.state_dict().values(), dense.state_dict().values()))
    assert f"sparsity={(dense.weight == 0).float().mean():.4f}" in repr(sparse)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("dense", "sparse", "x"), pairs())
def test_it_learns_as_the_dense_layer_with_frozen_zeros(
    dense: nn.Module, sparse: nn.Module, x: torch.Tensor
) -> None:
    sparse(x).square().sum().backward()
    dense(x).square().sum().backward()
    want = dense.weight.grad.reshape(-1)[sparse.positions.long()]
    torch.testing.assert_close(sparse.values.grad, want)
    torch.optim.SGD(sparse.parameters(), lr=0.1).step()
    with torch.no_grad():
        torch.testing.assert_close(sparse(x), sparse.to_dense()(x))


def test_a_weight_that_changes_in_place_is_seen() -> None:
    dense, sparse, x = pairs()[0]
    with torch.no_grad():
        sparse(x)
        sparse.values.mul_(2)
        sparse.bias.zero_()
        torch.testing.assert_close(sparse(x), 2 * (x @ dense.weight.T))


def test_a_state_dict_goes_there_and_back() -> None:
    _, sparse, x = pairs()[0]
    file = io.BytesIO()
    torch.save(sparse.state_dict(), file)
    file.seek(0)
    other = SparseLinear(pruned(nn.Linear(20, 9), 0.3))
    other.load_state_dict(torch.load(file))
    with torch.no_grad():
        assert torch.equal(other(x), sparse(x))
    assert torch.equal(copy.deepcopy(other).weight, sparse.weight)


def test_a_dense_state_dict_can_be_loaded() -> None:
    dense, _, x = pairs()[0]
    other = nn.Sequential(SparseLinear(pruned(nn.Linear(20, 9), 0.3)))
    state = nn.Sequential(dense).state_dict()
    before = {name: value.clone() for name, value in state.items()}
    other.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(other(x), dense(x))
    assert state.keys() == before.keys()


def test_one_that_does_not_fit_is_refused() -> None:
    other = SparseLinear(nn.Linear(20, 8))
    with pytest.raises(RuntimeError, match="weight"):
        other.load_state_dict(nn.Linear(20, 9).state_dict())


def test_groups_and_other_paddings_are_refused() -> None:
    with pytest.raises(KernelError, match="groups=2"):
        SparseConv2d(nn.Conv2d(4, 4, 3, groups=2))
    with pytest.raises(KernelError, match="'reflect'"):
        SparseConv2d(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"))


def test_another_dtype_is_refused() -> None:
    _, sparse, x = pairs()[0]
    with pytest.raises(KernelError, match=r"the input is torch\.float64"):
        sparse(x.double())
    with pytest.raises(KernelError, match=r"the weight is torch\.float64"):
        copy.deepcopy(sparse).double()(x)
