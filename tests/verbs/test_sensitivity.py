from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import secateur
from secateur.errors import MaskError
from secateur.point import Share

EXAMPLE = torch.zeros(2, 1, 6, 6)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Dropout(),
        nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip


def evaluate(model: nn.Module) -> float:
    assert not model.training
    return float(sum((one == 0).sum() for one in model.parameters() if one.ndim > 1))


@pytest.mark.parametrize("method", ["magnitude", "l1-filter", "slimming", "combined"])
def test_what_it_finds_can_be_pruned_with(method: str, tmp_path: Path) -> None:
    model = net().train()
    found = secateur.sensitivity(
        model, evaluate, method, levels=[0.5], higher=False, example_inputs=EXAMPLE
    )
    assert model.training
    assert found.levels == (0.5,)
    sparsities = found.to_sparsities(within=1000)
    masks = secateur.prune(model, method, sparsity=sparsities, example_inputs=EXAMPLE)
    assert evaluate(model.eval()) == sum(cut.zeros.part for cut in found.cuts)
    assert masks.zeros
    rows = found.table()
    assert [row["zeros"] for row in rows] == [cut.zeros.part for cut in found.cuts]
    assert found.figure(tmp_path / "a.svg").save(tmp_path / "b.png").stat().st_size > 1000
    assert "image/svg+xml" in found._repr_mimebundle_()


def test_a_share_keeps_its_integers() -> None:
    found = secateur.sensitivity(net(), lambda _: Share(3, 4), levels=[0.5])
    assert found.score.share == Share(3, 4)
    assert found.to_sparsities(within=0) == dict.fromkeys(found.layers, 0.5)


@pytest.mark.parametrize("score", [None, "0.5", True, float("nan"), torch.ones(2)], ids=str)
def test_what_is_no_score_is_refused(score: Any) -> None:
    with pytest.raises(MaskError, match="finite number"):
        secateur.sensitivity(net(), lambda _: score)


def test_a_criterion_may_look_at_data() -> None:
    from secateur.pruning.method import Method, Part

    taylor = Method("taylor", "", "", (Part("taylor", "weight", "all", "global"),))
    data = [(torch.randn(4, 1, 6, 6), torch.zeros(4, dtype=torch.long))]

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    found = secateur.sensitivity(net(), evaluate, taylor, levels=[0.5], data=data, loss=loss)
    assert [cut.zeros.part for cut in found.cuts] == [18, 72, 40]
    with pytest.raises(MaskError, match="squared-gradients"):
        secateur.sensitivity(net(), evaluate, taylor, levels=[0.5])


def test_a_pattern_is_tried_at_its_own_level_only() -> None:
    options = {"granularity": "2:4", "exclude": "0", "higher": False}
    found = secateur.sensitivity(net(), evaluate, levels=[0.5], **options)
    assert [cut.zeros.part for cut in found.cuts] == [72, 40]
    with pytest.raises(MaskError, match=r"expected 0\.5: 2 of every 4"):
        secateur.sensitivity(net(), evaluate, **options)
