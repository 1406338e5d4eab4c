"""One run at a time, in this process: `perform` is a pure function of its job."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import secateur
from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.errors import MaskError, TrainingError
from secateur.point import Point
from secateur.pruning.groups import Groups
from secateur.pruning.masks import Masks
from secateur.pruning.method import parts_of
from secateur.pruning.select import cut
from secateur.registry import METHODS
from secateur.runtime.kernels import kernels
from secateur.runtime.layers.retraining import sparse_retraining
from secateur.spec import MethodSpec, StudySpec
from secateur.study import cut_net, run_training
from secateur.study.checkpoint import load_checkpoint, load_early
from secateur.study.folder import checkpoint_name
from secateur.study.job import Job, Setup
from secateur.study.plan import Run, plan
from secateur.study.run import perform
from secateur.study.tensor_files import contents_of
from secateur.training.dropout_ratio import dropping

from .small_nets import one_norm

SETTINGS: dict[str, Any] = {
    "levels": [0.5, 0.7],
    "training": {"base_epochs": 1, "retrain_epochs": 1, "batch_size": 16},
    "methods": {
        "magnitude": {},
        "l1-filter": {},
        "slimming": {"sparsity_epochs": 1},
        "group-lasso": {"sparsity_epochs": 2, "penalty": 0.01},
        "combined": {"levels": ["0.25/0.75"]},
        "scratch": {},
        "dense": {},
    },
}


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shapes(train=64, val=20, test=20, size=8)


class Bench:
    """Performs the runs of a study one after the other, each after its parents."""

    def __init__(self, folder: Path, data: ImageData, settings: dict[str, Any]) -> None:
        self.study = StudySpec.model_validate(settings)
        (folder / "points").mkdir()
        self.runs = plan(self.study, {"data": data.fingerprint()})
        self.job = Job(self.runs[0], Setup(self.study, folder, one_norm, data))
        self.done: dict[str, dict[str, Any]] = {}

    def perform(self, run: Run, **changes: Any) -> dict[str, Any]:
        return perform(replace(self.job, run=run, **changes))

    def all(self) -> "Bench":
        for run in self.runs:
            self.done[run.digest] = self.perform(run)
        return self

    def find(self, method: str, step: int = 0, kind: str = "point") -> Run:
        named = (run for run in self.runs if (run.method, run.step) == (method, step))
        return next(run for run in named if run.kind == kind)

    def point(self, run: Run) -> Point:
        return Point.from_dict(self.done[run.digest]["point"])

    def file(self, run: Run) -> Path:
        return self.job.setup.folder / checkpoint_name(run.digest)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, data: ImageData) -> Bench:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Bench(tmp_path_factory.mktemp("study"), data, SETTINGS).all()
    torch.set_num_threads(threads)
    return made


def test_every_run_leaves_its_file_and_its_result(bench: Bench) -> None:
    assert {path.name for path in (bench.job.setup.folder / "points").iterdir()} == {
        bench.file(run).name for run in bench.runs
    }
    for run in bench.runs:
        if run.kind in ("slim", "group-sparsity"):
            curve = [entry["epoch"] for entry in bench.done[run.digest]["curve"]]
            assert curve == list(range(1, run.epochs + 1))
            continue
        point = bench.point(run)
        assert (point.method, point.level, point.step) == (run.method, run.level, run.step)
        assert (point.seed, point.digest) == (run.seed, run.digest)
        assert point.epochs.cumulative == sum(run.spent.values())
        assert len(point.curve) == run.epochs
        assert bench.job.setup.folder / point.checkpoint == bench.file(run)
        assert (point.val.total, point.test.total) == (20, 20)
        assert {"torch", "python"} <= point.environment.keys()


def test_a_point_says_on_which_device_its_net_ran(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second CPU stands in for a device that a test's machine may not have."""
    monkeypatch.setattr("secateur.measure.environment._device_name", str)
    monkeypatch.setattr("secateur.study.run.resolve_device", lambda _: torch.device("cpu", 0))
    done = bench.perform(bench.find("l1-filter"))
    assert Point.from_dict(done["point"]).environment["device"] == "cpu:0"


def test_pruned_weights_are_zero_by_the_bits_after_retraining(bench: Bench) -> None:
    cutting = [run for run in bench.runs if run.kind == "point" and run.method != "dense"]
    assert cutting
    for run in cutting:
        state, masks = load_checkpoint(bench.file(run))
        assert masks
        assert masks.zeros
        for name, mask in masks.items():
            zeros = state[name][~mask]
            assert torch.equal(zeros.view(torch.int32), torch.zeros_like(zeros, dtype=torch.int32))
            assert bool((state[name][mask] != 0).any())


def test_the_net_that_was_prepared_is_the_one_that_is_cut(bench: Bench, data: ImageData) -> None:
    prepared = bench.find("group-lasso", kind="group-sparsity")
    state, _ = load_checkpoint(bench.file(prepared))
    base, _ = load_checkpoint(bench.file(bench.runs[0]))
    assert state.keys() == base.keys()
    assert all(not torch.equal(state[name], base[name]) for name in ("0.weight", "3.weight"))
    for step, level in enumerate((0.5, 0.7)):
        net = one_norm(data.shape, data.classes)
        net.load_state_dict(state)
        run = bench.find("group-lasso", step)
        assert dict(run.parents) == {
            "base": bench.runs[0].digest, "group-sparsity": prepared.digest,
        }  # fmt: skip
        assert dict(run.spent) == {"base": 1, "sparsity": 2, "retrain": 1}
        chosen = secateur.prune(
            net, "group-lasso", sparsity=level, example_inputs=data.example(2), protected=0.0
        )
        assert load_checkpoint(bench.file(run))[1] == chosen


def test_only_what_may_go_is_made_small(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Groups, ...]] = []

    def noted(model: nn.Module, *_: object, groups: tuple[Groups, ...], **__: object) -> Any:
        given.append(groups)
        return model.state_dict(), ()

    monkeypatch.setattr("secateur.training.group_lasso.prepare", noted)
    methods = {"group-lasso": {"exclude": ["3"], "levels": [0.2]}}
    made = Bench(tmp_path, data, {**SETTINGS, "methods": methods}).all()
    ((groups,),) = given
    there = {int(one) for slot in groups.slots for one in slot.groups if one >= 0}
    # The second convolution's eight filters are held, and those that it reads as well.
    assert (groups.count, there) == (16, set())
    assert made.point(made.find("group-lasso")).conv_sparsity.part == 0


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory, data: ImageData) -> Bench:
    training = {"base_epochs": 1, "retrain_epochs": 3, "batch_size": 16, "budget": "total"}
    slim = {name: {"sparsity_epochs": 1} for name in ("slimming", "group-lasso")}
    methods = {"magnitude": {}, **slim, "scratch": {}}
    settings = {**SETTINGS, "training": training, "methods": methods}
    return Bench(tmp_path_factory.mktemp("equal"), data, settings).all()


def test_with_a_total_every_point_has_trained_as_long_as_it_says(equal: Bench) -> None:
    points = [(run, equal.point(run)) for run in equal.runs if run.kind == "point"]
    assert {run.method for run, _ in points} == {
        "magnitude", "l1-filter", "slimming", "group-lasso", "scratch", "dense",
    }  # fmt: skip
    assert {point.epochs.cumulative for _, point in points} == {4}
    for run, point in points:
        # The curve goes on through all the cuts of a chain, and counts every epoch once.
        assert [entry["epoch"] for entry in point.curve] == list(range(1, run.epochs + 1))
    base = equal.done[equal.runs[0].digest]
    assert [entry["epoch"] for entry in base["curve"]] == [1]
    assert base["trained"] > 0


def test_a_chain_inside_one_run_ends_at_its_own_level_exactly(equal: Bench) -> None:
    """As deep as the last cut, and what the first one took stays away."""
    for step, zeros in ((0, 416), (1, 582)):
        found = equal.point(equal.find("magnitude", step)).sparsity
        assert (found.part, found.total) == (zeros, 832)


def test_the_same_chain_gives_the_same_bits(equal: Bench) -> None:
    run = equal.find("magnitude", 1)
    before = equal.file(run).read_bytes()
    again = equal.perform(run)
    assert equal.file(run).read_bytes() == before
    assert Point.from_dict(again["point"]).scores == equal.point(run).scores


def test_a_cut_net_drops_less_while_it_is_retrained(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, float]] = []

    def noted(model: nn.Module, ratios: dict[str, float]) -> Any:
        seen.append(dict(ratios))
        return dropping(model, ratios)

    monkeypatch.setattr(run_training, "dropping", noted)
    training = {**SETTINGS["training"], "retrain_dropout": "scaled"}
    methods = {"l1-filter": {"levels": [0.75]}, "dense": {}}
    bench = Bench(tmp_path, data, {**SETTINGS, "training": training, "methods": methods})
    bench.job = replace(bench.job, setup=replace(bench.job.setup, model=with_dropout))
    bench.all()
    # Two of eight channels are left of each convolution: a sixteenth, and a quarter, of what reads.
    assert seen == [{}, {"4": 0.125, "8": 0.125}, {}]


def with_dropout(shape: tuple[int, int, int], classes: int) -> nn.Module:
    made = list(one_norm(shape, classes))  # type: ignore[arg-type]
    return nn.Sequential(*made[:3], nn.Identity(), nn.Dropout(0.5), *made[3:6], nn.Dropout(0.25),
                         *made[6:])  # fmt: skip


@pytest.mark.parametrize("epoch", [0, 1])
def test_weights_are_set_back_to_those_of_an_epoch_of_the_dense_net(
    tmp_path: Path, data: ImageData, epoch: int
) -> None:
    training = {"base_epochs": 1, "retrain_epochs": 0, "batch_size": 16, "budget": "total"}
    training |= {"retrain": "rewind-weights", "rewind_epoch": epoch}
    methods = {"magnitude": {"levels": [0.5]}}
    bench = Bench(tmp_path, data, {**SETTINGS, "training": training, "methods": methods}).all()
    base, cut = bench.runs[0], bench.find("magnitude")
    dense = load_checkpoint(bench.file(base))[0]
    early = load_early(bench.file(base))
    assert dense.keys() == early.keys()
    first = one_norm((3, 8, 8), 5).state_dict()
    assert {name: value.shape for name, value in early.items()} == {
        name: value.shape for name, value in first.items()
    }
    assert all(torch.equal(dense[name], early[name]) for name in dense) == (epoch == 1)
    # Cut by the trained weights, and what is kept is as it was in that epoch.
    state, masks = load_checkpoint(bench.file(cut))
    assert masks
    for name, value in early.items():
        kept = masks.get(name, torch.ones_like(value, dtype=torch.bool))
        assert torch.equal(state[name], value * kept)


def test_exact_numbers_of_weights_are_cut(bench: Bench) -> None:
    # 3 x 3 x 3 x 8 = 216 and 3 x 3 x 8 x 8 = 576 weights in the convolutions, 8 x 5 in the head.
    for step, zeros in ((0, 416), (1, 582)):
        sparsity = bench.point(bench.find("magnitude", step)).sparsity
        assert (sparsity.part, sparsity.total) == (zeros, 832)
    for method in ("l1-filter", "scratch"):
        convs = bench.point(bench.find(method)).conv_sparsity
        assert (convs.part, convs.total) == (396, 792)
    combined = bench.point(bench.find("combined"))
    assert combined.conv_sparsity.part == 198
    assert combined.sparsity.part == 198 + 30


def test_incremental_masks_nest_and_start_from_the_retrained_weights(bench: Bench) -> None:
    first, second = (load_checkpoint(bench.file(bench.find("magnitude", step))) for step in (0, 1))
    assert first[1] is not None
    assert second[1] is not None
    assert second[1].is_within(first[1])
    assert bench.find("magnitude", 1).parents["previous"] == bench.find("magnitude").digest


def test_nothing_is_masked_in_the_dense_net(bench: Bench) -> None:
    for step, kind in ((0, "base"), (1, "point")):
        run = bench.find("dense", step, kind)
        assert not load_checkpoint(bench.file(run))[1]
        assert bench.point(run).sparsity.part == 0


def test_scratch_has_the_masks_it_copies_and_other_weights(bench: Bench) -> None:
    copy, copied = (load_checkpoint(bench.file(bench.find(m))) for m in ("scratch", "l1-filter"))
    assert copy[1] == copied[1]
    assert not torch.equal(copy[0]["7.weight"], copied[0]["7.weight"])


def test_an_untrained_net_is_cut_as_it_was_initialised(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SNIP in one cut and by SynFlow in three, on the weights of the seed, before any epoch."""
    cut_nets: list[dict[str, torch.Tensor]] = []

    def noted(net: nn.Module, *given: Any, **named: Any) -> Masks:
        cut_nets.append({name: one.detach().clone() for name, one in net.named_parameters()})
        return cut(net, *given, **named)

    monkeypatch.setattr(cut_net, "cut", noted)
    methods = {"snip": {}, "synflow": {"rounds": 3}}
    made = Bench(tmp_path, data, {**SETTINGS, "levels": [0.5], "methods": methods})
    first = made.job.setup.build_model(data, 0).get_parameter("0.weight").detach()
    for method, cuts in (("snip", 1), ("synflow", 3)):
        run = made.find(method)
        cut_nets.clear()
        point = Point.from_dict(made.perform(run)["point"])  # no base run has been done
        assert len(cut_nets) == cuts
        assert torch.equal(cut_nets[0]["0.weight"], first)
        assert (point.sparsity.part, point.sparsity.total) == (416, 832)
        assert [entry["epoch"] for entry in point.curve] == [1, 2]
        state, masks = load_checkpoint(made.file(run))
        assert masks
        zeros = state["0.weight"][~masks["0.weight"]].view(torch.int32)
        assert not zeros.any()


def test_a_run_done_again_gives_the_same_bits(bench: Bench, tmp_path: Path) -> None:
    for method in ("magnitude", "slimming"):
        run = bench.find(method, 1)
        before = bench.file(run).read_bytes()
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        again = Point.from_dict(bench.perform(run)["point"])
        torch.set_num_threads(threads)
        assert replace(again, seconds=0) == replace(bench.point(run), seconds=0)
        assert bench.file(run).read_bytes() == before


def test_the_initial_weights_are_of_the_seed(bench: Bench, data: ImageData) -> None:
    def weights(seed: int) -> torch.Tensor:
        weight = bench.job.setup.build_model(data, seed).get_parameter("0.weight")
        return weight.detach()

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_epochs_are_told_as_they_end(bench: Bench) -> None:
    told: list[int] = []
    perform(replace(bench.job, run=bench.find("scratch")), lambda epoch: told.append(epoch.epoch))
    assert told == [1, 2]


def test_a_loss_that_is_not_finite_ends_the_run_without_a_file(
    tmp_path: Path, data: ImageData
) -> None:
    wild = {**SETTINGS["training"], "learning_rate": 1e30, "optimizer": "sgd", "base_epochs": 3}
    bench = Bench(tmp_path, data, {**SETTINGS, "training": wild})
    with pytest.raises(TrainingError, match="the loss is not finite by step"):
        bench.perform(bench.runs[0])
    assert list((tmp_path / "points").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, [("channel", "layer"), ("weight", "global")]),
        ({"ranking": "layer"}, [("channel", "layer"), ("weight", "layer")]),
        ({"granularity": "filter"}, [("filter", "layer"), ("weight", "global")]),
        ({"granularity": "2:4"}, [("channel", "layer"), ("2:4", "global")]),
        ({"allocation": "erk"}, [("channel", "layer"), ("weight", "layer")]),
    ],
)
def test_a_study_overrides_what_its_methods_say(
    options: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    parts = parts_of(METHODS["combined"], MethodSpec(**options))
    assert [(part.granularity, part.ranked) for part in parts] == found
    assert [part.scope for part in parts] == ["conv", "non-conv"]


@pytest.mark.skipif(not kernels.available(), reason=kernels.why_not())
def test_sparse_retraining_changes_only_the_rounding(
    bench: Bench, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    @contextmanager
    def watched(model: nn.Module, masks: Masks) -> Iterator[None]:
        with sparse_retraining(model, masks) as layers:
            seen.append(layers)
            yield

    monkeypatch.setattr(run_training, "sparse_retraining", watched)
    training = {**SETTINGS["training"], "sparse_retraining": True}
    settings = {"levels": [0.7], "training": training, "methods": {"magnitude": {}, "dense": {}}}
    sparse = Bench(tmp_path, data, settings).all()
    assert len(seen) == 1
    assert "3" in seen[0]
    assert sparse.find("dense", kind="base").digest == bench.find("dense", kind="base").digest
    state, masks = load_checkpoint(sparse.file(sparse.find("magnitude")))
    for name, mask in (masks or {}).items():
        assert not state[name][~mask].any()
        assert state[name][mask].any()


FROZEN = {"0", "7"}


def with_frozen_layers(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The net, with the layers that the study leaves out not trained either."""
    model = one_norm(shape, classes)
    for name in FROZEN:
        model.get_submodule(name).requires_grad_(False)
    return model


def test_what_is_left_out_is_the_same_bits_through_every_cut_and_retraining(
    tmp_path: Path, data: ImageData
) -> None:
    settings = {
        **SETTINGS,
        "levels": [0.5, {"3": 0.75}],
        "exclude": sorted(FROZEN),
        "methods": {
            "magnitude": {},
            # The convolution's channels are read by a layer that is left out.
            "l1-filter": {"exclude": ["0"], "max_sparsity": 0.5},
            "combined": {"exclude": [], "only": ["3"]},
        },
    }
    made = Bench(tmp_path, data, settings)
    made.job = replace(made.job, setup=replace(made.job.setup, model=with_frozen_layers))
    made.all()
    start, _ = load_checkpoint(made.file(made.find("dense", kind="base")))
    left_out = {"magnitude": FROZEN, "l1-filter": {"0"}, "combined": {"0"}}
    assert start["3.weight"].numel() == 576
    for run in made.runs[1:]:
        state, masks = load_checkpoint(made.file(run))
        assert masks
        for name in left_out[run.method]:
            assert torch.equal(state[f"{name}.weight"], start[f"{name}.weight"])
            assert torch.equal(state[f"{name}.bias"], start[f"{name}.bias"])
            assert f"{name}.weight" not in masks
        zeros = {layer.name: layer.zeros for layer in made.point(run).layers}
        asked = 288 if run.level == (0.5,) or run.method == "l1-filter" else 432
        assert zeros["3.weight"] == asked
        total = made.point(run).sparsity
        assert (total.part, total.total) == (sum(zeros.values()), 216 + 576 + 8 * data.classes)


def test_scores_and_masks_of_ones_own(tmp_path: Path, data: ImageData) -> None:
    scores = {"0": torch.randperm(8), "3": torch.randperm(8)}
    mask = torch.rand(data.classes, 8) < 0.5
    save_file(scores, tmp_path / "scores.safetensors")
    save_file({"7.weight": mask}, tmp_path / "masks.safetensors")
    own = {"scores": str(tmp_path / "scores.safetensors")}
    settings = {
        **SETTINGS,
        "levels": [0.5],
        "masks": str(tmp_path / "masks.safetensors"),
        "methods": {"l1-filter": own, "random-weight": {"only": ["0"]}},
    }
    made = Bench(tmp_path, data, settings)
    setup = replace(made.job.setup, contents=contents_of(made.study))
    made.job = replace(made.job, setup=setup)
    made.all()
    _, masks = load_checkpoint(made.file(made.find("l1-filter")))
    assert masks
    for name, order in scores.items():
        assert torch.equal(masks[f"{name}.bias"], order >= 4)
    assert torch.equal(masks["7.weight"], mask)
    _, control = load_checkpoint(made.file(made.find("random-weight")))
    assert control
    assert int((~control["0.weight"]).sum()) == 108
    (tmp_path / "masks.safetensors").write_bytes(b"other")
    with pytest.raises(MaskError, match="not as it was when the sweep began"):
        made.perform(made.find("l1-filter"))


def test_without_retraining_a_reconstructed_net_is_stored_as_it_was_cut(
    tmp_path: Path, data: ImageData
) -> None:
    training = {"base_epochs": 1, "retrain_epochs": 0, "batch_size": 16}
    settings = {"levels": [0.5], "training": training, "methods": {"sparsegpt": {"block": 16}}}
    bench = Bench(tmp_path, data, settings).all()
    (dense, _), (state, masks) = (
        load_checkpoint(bench.file(bench.find(*of)))
        for of in (("dense", 0, "base"), ("sparsegpt", 0))
    )
    point = bench.point(bench.find("sparsegpt"))
    assert (point.epochs.retrain, point.epochs.statistics) == (0, 1)
    assert (point.sparsity.part, point.sparsity.total) == (416, 832)
    assert masks is not None
    for name, mask in masks.items():
        assert not state[name][~mask].any()
        assert not torch.equal(state[name][mask], dense[name][mask])
