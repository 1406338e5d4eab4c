from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import secateur
from secateur.errors import DataError, MaskError, UnknownNameError
from secateur.registry import REPAIRS


class Two(nn.Module):
    """A network of two inputs, one by name."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        out: Tensor = self.norm(a + b)
        return out


def cut(net: nn.Module) -> secateur.Masks:
    return secateur.prune(net, "magnitude", sparsity=0.5)


def norm_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_the_call_of_the_guide() -> None:
    net = norm_net()
    masks = cut(net)
    x, y = torch.randn(32, 2), torch.zeros(32)
    done = secateur.repair(net, masks, DataLoader(TensorDataset(x, y), 16), how=["batch-norm"])
    assert done[0].layers == ("1",)
    assert torch.allclose(net[1].running_mean, net[0](x).mean(0), atol=1e-6)


def test_without_a_word_it_is_least_squares() -> None:
    net = norm_net()
    masks = cut(net)
    (done,) = secateur.repair(net, masks, [torch.randn(32, 2)])
    assert done.kind == "least-squares"
    assert done.layers


def test_a_kind_by_its_path_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REPAIRS, "_own", {})
    net = norm_net()
    masks = cut(net)
    path = "secateur.pruning.repairs.variance:REPAIR"
    done = secateur.repair(net, masks, [torch.randn(32, 2)], [path, "batch-norm"])
    assert [one.kind for one in done] == ["batch-norm", "variance"]


@pytest.mark.parametrize("form", ["pair", "alone", "list of one", "iterator"])
def test_forms_of_batches(form: str) -> None:
    net = norm_net()
    x = torch.randn(8, 2)
    batch = {"pair": (x, None), "alone": x, "list of one": [x], "iterator": x}[form]
    batches = iter([batch]) if form == "iterator" else [batch]
    secateur.repair(net, cut(net), batches, "batch-norm")
    assert int(net[1].num_batches_tracked) == 1


def test_several_inputs_by_place_and_by_name_and_in_another_way() -> None:
    a, b = torch.randn(8, 2), torch.randn(8, 2)
    for batch in (((a, b), None), {"a": a, "b": b}):
        net = Two()
        secateur.repair(net, {}, [batch], "batch-norm")
        assert torch.allclose(net.norm.running_mean, (a + b).mean(0), atol=1e-6)
    net = Two()
    own = [(a, b, 3)]
    secateur.repair(net, {}, own, "batch-norm", forward=lambda net, x: net(x[0], x[1]))
    assert torch.allclose(net.norm.running_mean, (a + b).mean(0), atol=1e-6)
    with pytest.raises(DataError, match=r"3 values.*forward="):
        secateur.repair(net, {}, own, "batch-norm")


def test_a_network_in_half_precision_and_one_that_is_wrapped() -> None:
    net = norm_net().to(torch.bfloat16)
    batch = torch.randn(8, 2).to(torch.bfloat16)
    secateur.repair(nn.DataParallel(net), cut(net), [batch], how="batch-norm")
    assert net[1].running_mean.dtype == torch.bfloat16
    assert int(net[1].num_batches_tracked) == 1


def test_words_and_masks_that_are_none() -> None:
    net = norm_net()
    with pytest.raises(UnknownNameError, match="Did you mean 'batch-norm'"):
        secateur.repair(net, cut(net), [torch.ones(2, 2)], how="batchnorm")
    with pytest.raises(MaskError, match="masks is a int"):
        secateur.repair(net, 3, [torch.ones(2, 2)])  # type: ignore[arg-type]
    with pytest.raises(MaskError, match="a mask without its parameter"):
        secateur.repair(net, {"x": torch.ones(1, dtype=torch.bool)}, [torch.ones(2, 2)])


def test_the_inputs_are_left_as_they_are() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), nn.BatchNorm1d(2))
    x = torch.full((4, 2), -1.0)
    secateur.repair(net, {}, [x], "batch-norm")
    assert torch.equal(x, torch.full((4, 2), -1.0))
