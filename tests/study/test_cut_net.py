"""Nets that are trained sparse from scratch, in a study of a small net."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.pruning.dynamic_cutter import DynamicCutter
from secateur.pruning.masks import Masks
from secateur.pruning.select import cut
from secateur.registry import METHODS
from secateur.study import cut_net
from secateur.study.checkpoint import load_early
from secateur.study.folder import checkpoint_name
from secateur.study.run_training import RunTraining

from .small_nets import one_norm
from .small_study import Study

SPARSE = ("set", "rigl", "ac-dc", "static-sparse")
SETTINGS: dict[str, Any] = {
    "levels": [0.75],
    "training": {"base_epochs": 2, "retrain_epochs": 1, "batch_size": 16},
    "methods": {
        **{name: {} for name in SPARSE},
        "snip": {"schedule": "dynamic", "growth": "random"},
        "magnitude": {"schedule": "dynamic", "every": 1, "until": 1.0},
        "scratch": {"like": "rigl"},
    },
}
WEIGHTS = {"0.weight": 216, "3.weight": 576, "7.weight": 40}
# ERK by hand: 208 in proportion to 8+3+3+3, 8+8+3+3 and 5+8, of which the last one has but 40.
DRAWN = {"0.weight": 73, "3.weight": 95, "7.weight": 40}


class Noted(DynamicCutter):
    """Notes the steps of all trainings, and what was kept then."""

    seen: list[tuple[int, dict[str, int]]]

    def step(self, model: nn.Module, optimizers: Any, step: int) -> None:
        super().step(model, optimizers, step)
        masks = self.masks or Masks({})
        self.seen.append((step, {name: int(mask.sum()) for name, mask in masks.items()}))


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shapes(train=64, val=20, test=20, size=8)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, data: ImageData) -> Study:
    Noted.seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cut_net, "DynamicCutter", Noted)
        return Study(tmp_path_factory.mktemp("sparse"), data, SETTINGS)


@pytest.mark.parametrize("method", SPARSE)
def test_a_sparse_net_has_its_level_exactly_and_the_whole_budget(study: Study, method: str) -> None:
    point = study.point(method)
    assert (point.sparsity.part, point.sparsity.total) == (624, 832)
    assert (point.epochs.base, point.epochs.retrain, point.epochs.cumulative) == (0, 3, 3)
    assert [entry["epoch"] for entry in point.curve] == [1, 2, 3]
    state, masks = study.saved(method)
    assert {name: mask.numel() for name, mask in masks.items()} == WEIGHTS
    for name, mask in masks.items():
        assert not state[name][~mask].view(torch.int32).any()
        assert bool((state[name][mask] != 0).any())
        if method != "ac-dc":  # that one ranks all layers together
            assert int(mask.sum()) == DRAWN[name]


def test_every_step_of_every_training_has_the_same_counts(study: Study) -> None:
    steps, kept = [step for step, _ in Noted.seen], [found for _, found in Noted.seen]
    # From step 0: set and rigl through 3 epochs of 4 steps each, snip likewise, magnitude for one.
    assert steps == [*range(13), *range(13), *range(13), *range(5)]
    assert kept[:26] == [DRAWN] * 26
    for first, last in ((26, 39), (39, 44)):
        assert all(one == kept[first] for one in kept[first:last])
        assert sum(kept[first].values()) == 208


def test_they_start_from_one_draw_and_end_with_other_connections(study: Study) -> None:
    masks = {name: study.saved(name)[1] for name in SPARSE}
    assert masks["set"] != masks["static-sparse"] != masks["rigl"] != masks["set"]
    fixed = masks["static-sparse"]["3.weight"]
    for name in ("set", "rigl"):  # a part of the draw is still there
        left = float((masks[name]["3.weight"] & fixed).sum() / fixed.sum())
        assert 0.25 < left < 1


def test_the_quality_before_training_is_that_of_the_draw(study: Study) -> None:
    assert study.point("rigl").before == study.point("static-sparse").before != ()
    assert study.point("ac-dc").before == ()


def test_connections_may_move_while_a_trained_net_is_retrained(study: Study) -> None:
    point = study.point("magnitude")
    assert (point.epochs.base, point.epochs.retrain, point.sparsity.part) == (2, 1, 624)


def test_scratch_copies_the_connections_at_the_end(study: Study) -> None:
    assert study.saved("scratch")[1] == study.saved("rigl")[1]
    assert study.point("scratch").epochs.cumulative == 3


@pytest.mark.parametrize("method", ["rigl", "ac-dc"])
def test_the_same_run_gives_the_same_bits(
    tmp_path: Path, data: ImageData, study: Study, method: str
) -> None:
    again = Study(tmp_path, data, {**SETTINGS, "methods": {method: {}}})
    first, second = (one.saved(method) for one in (study, again))
    assert first[1] == second[1]
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])


def test_masks_of_ones_own_bar_what_they_cut(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"3.weight": torch.arange(576).reshape(8, 8, 3, 3) % 2 == 0}
    monkeypatch.setattr(cut_net, "read_tensors", lambda *_: own)
    methods = {name: {"masks": "own.safetensors"} for name in ("rigl", "ac-dc")}
    study = Study(tmp_path, data, {**SETTINGS, "methods": methods})
    for method in methods:
        assert study.saved(method)[1].is_within(Masks(own))
        assert study.point(method).sparsity.part == 624


class Tickets(RunTraining):
    """Notes each net as it goes into its retraining."""

    seen: list[tuple[str, dict[str, torch.Tensor]]]

    def train(self, model: nn.Module, *how: Any, **more: Any) -> None:
        self.seen.append(
            (self.job.run.digest, {k: v.clone() for k, v in model.state_dict().items()})
        )
        super().train(model, *how, **more)


@pytest.mark.parametrize("epoch", [None, 0, 1])
@pytest.mark.parametrize("budget", ["level", "total"])
def test_a_lottery_ticket_is_drawn_by_trained_weights_and_begins_with_the_first_ones(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch, epoch: int | None, budget: str
) -> None:
    """Iterative magnitude pruning with rewinding, statistics of norms included, bit by bit."""
    Tickets.seen = []
    monkeypatch.setattr(cut_net, "RunTraining", Tickets)
    training = {"base_epochs": 2, "retrain_epochs": 2, "batch_size": 16, "budget": budget}
    if epoch is not None:
        training |= {"retrain": "rewind-weights", "rewind_epoch": epoch}
    settings = {"levels": [0.5, 0.75], "training": training, "methods": {"lottery": {}}}
    study = Study(tmp_path, data, settings)
    base = study.runs[0].digest
    ((_, early),) = [one for one in Tickets.seen if one[0] == base]
    if epoch:
        early = load_early(tmp_path / checkpoint_name(base))
    for step, zeros in ((0, 416), (1, 624)):
        run, (_, masks) = study.find("lottery", step), study.saved("lottery", step)
        assert masks.zeros == zeros
        *before, ticket = [state for digest, state in Tickets.seen if digest == run.digest]
        assert len(before) == (step if budget == "total" else 0)
        for name, value in ticket.items():
            assert torch.equal(value, early[name] * masks.get(name, torch.tensor(True)))
    first, second = (study.saved("lottery", step) for step in (0, 1))
    if budget == "level":
        net = one_norm((3, 8, 8), data.classes)
        net.load_state_dict(first[0])
        assert cut(net, METHODS["lottery"].parts, (0.75,), previous=first[1]) == second[1]
    assert second[1].is_within(first[1])
