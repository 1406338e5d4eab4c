"""What all kinds of repair share: their order, zeros, what an error leaves, what was before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from secateur.errors import MaskError, ModelError, TrainingError, UnknownNameError, UsageError
from secateur.pruning.masks import Masks
from secateur.pruning.mended import Mended, Repaired
from secateur.pruning.repair import Calibration, Repair, ordered
from secateur.registry import REPAIRS
from secateur.verbs.repair import repair


def cut_net() -> tuple[nn.Sequential, Masks]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    masks = Masks({"0.weight": torch.eye(3, dtype=torch.bool)})
    return net, masks.apply(net)


def test_the_registry_gives_the_order() -> None:
    assert ordered(reversed(list(REPAIRS))) == tuple(REPAIRS)
    with pytest.raises(UnknownNameError, match=r"'batch-nom'.*Did you mean 'batch-norm'"):
        ordered(["batch-nom"])
    with pytest.raises(UnknownNameError):
        ordered([3])  # type: ignore[list-item]


@pytest.mark.parametrize("name", REPAIRS)
def test_every_kind_says_what_it_is(name: str) -> None:
    row = REPAIRS[name]
    assert isinstance(row, Repair)
    assert row.summary.endswith(".")
    assert row.source
    assert row.passes >= 1


def test_what_a_kind_writes_into_pruned_elements_is_cleared() -> None:
    def spoil(calibration: Calibration) -> Mended:
        for one in calibration.model.parameters():
            one.fill_(-3.0)
        return Mended("mine", ("0",))

    REPAIRS.add("mine", Repair("Spoils.", "nobody", spoil))
    net, masks = cut_net()
    repair(net, masks, [torch.ones(1, 3)], "mine")
    assert net[0].weight.tolist() == [[-3, 0, 0], [0, -3, 0], [0, 0, -3]]
    assert not torch.signbit(net[0].weight[0, 1])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused_and_the_network_is_as_it_was(
    number: float,
) -> None:
    def spoil(calibration: Calibration) -> Mended:
        calibration.model.get_parameter("2.bias").fill_(number)
        return Mended("mine")

    REPAIRS.add("mine", Repair("Spoils.", "nobody", spoil))
    net, masks = cut_net()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(TrainingError, match=r"2\.bias is not finite afterwards"):
        repair(net, masks, [torch.ones(1, 3)], "mine")
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())


def test_the_network_before_the_cut_is_run_as_the_same_module() -> None:
    seen: list[tuple[str, Tensor]] = []

    def look(calibration: Calibration) -> Mended:
        for batch in calibration.batches():
            for word, run in (("cut", calibration.run), ("dense", calibration.run_dense)):
                hook = calibration.model.register_forward_hook(
                    lambda _, __, output, word=word: seen.append((word, output.clone()))
                )
                run(batch)
                hook.remove()
        return Mended("mine")

    REPAIRS.add("mine", Repair("Looks.", "nobody", look, needs_dense=True))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    x = torch.randn(4, 3)
    dense = net(x)
    masks = Masks({"0.weight": torch.eye(3, dtype=torch.bool)}).apply(net)
    cut = net(x)
    repair(net, masks, [x], "mine")
    assert torch.equal(dict(seen)["dense"], dense)
    assert torch.equal(dict(seen)["cut"], cut)
    assert torch.equal(net(x), cut)


def test_what_was_before_is_needed_and_not_known() -> None:
    REPAIRS.add("mine", Repair("Compares.", "nobody", lambda _: Mended("mine"), needs_dense=True))
    net, masks = cut_net()
    read = Masks(masks.state_dict())
    with pytest.raises(MaskError, match=r"unknown: these masks have removed nothing.*dense="):
        repair(net, read, [torch.ones(1, 3)], "mine")
    with torch.no_grad():
        net[2].bias.add_(1)
    with pytest.raises(MaskError, match="changed since the masks were applied"):
        repair(net, masks, [torch.ones(1, 3)], "mine")
    assert repair(net, read, [torch.ones(1, 3)], "mine", dense=copy.deepcopy(net))
    assert repair(net, read, [torch.ones(1, 3)], "mine", dense=net.state_dict())
    with pytest.raises(MaskError, match=r"0\.weight of the network before.*shape \(2, 3\)"):
        repair(net, read, [torch.ones(1, 3)], "mine", dense=nn.Sequential(nn.Linear(3, 2)))
    with pytest.raises(UsageError, match="dense is a str"):
        repair(net, read, [torch.ones(1, 3)], "mine", dense="x")  # type: ignore[arg-type]


def test_a_kind_that_is_none() -> None:
    REPAIRS.add("mine", 3)
    net, masks = cut_net()
    with pytest.raises(UsageError, match="'mine' is a int"):
        repair(net, masks, [torch.ones(1, 3)], "mine")


def test_a_report_reads_well() -> None:
    left = tuple((str(number), "it has no bias") for number in range(5))
    text = str(Repaired([Mended("bias", ("a", "b"), left), Mended("batch-norm")]))
    assert text.splitlines() == [
        "bias: 2 layers mended; left alone: 0, 1, 2, ... (it has no bias)",
        "batch-norm: 0 layers mended",
    ]
    assert "it has no bias" in Repaired([Mended("bias", ("a",), left)])._repr_html_()


def test_no_batch_and_a_network_that_fails_are_named() -> None:
    net, masks = cut_net()
    with pytest.raises(UsageError, match="the batches is none"):
        repair(net, masks, [])
    with pytest.raises(ModelError, match=r"Sequential is a network that fails on a batch of 1x2"):
        repair(net, masks, [torch.ones(1, 2)])
