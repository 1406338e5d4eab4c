"""Whole studies of other tasks than images: what they leave is right, and goes on."""

import sys
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest
import torch
from torch import nn

import secateur
from secateur.data import external, from_tensors
from secateur.data.data import Data
from secateur.errors import ModelError, UsageError
from secateur.study.checkpoint import load_checkpoint
from secateur.study.store import Store
from secateur.tasks import Quality, Task
from secateur.tasks.regression import Regression
from secateur.training.loop import OwnSplit
from secateur.training.own_loop import TrainingRun

# Workers have no module of this name: what it defines goes to them as it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SHORT = {"base_epochs": 2, "retrain_epochs": 1, "learning_rate": 0.01, "batch_size": 16}


def waves() -> Data:
    """Three sines, told apart by their frequency: `[1, 16]`."""
    drawn = torch.Generator().manual_seed(0)
    labels = torch.arange(96) % 3
    phase = torch.rand(96, 1, generator=drawn) * 6
    x = torch.sin(torch.arange(16) * (0.4 + 0.5 * labels[:, None]) + phase)[:, None]
    parts = {"train": slice(0, 64), "val": slice(64, 80), "test": slice(80, 96)}
    return from_tensors(
        "waves", classes=3, **{name: (x[rows], labels[rows]) for name, rows in parts.items()}
    )


def numbers() -> Data:
    base = waves()
    splits = {split: next(iter(base.batches(split, 99))) for split in ("train", "val", "test")}
    return from_tensors(
        "numbers", **{name: (x, 10 * x[:, 0, :2].sum(1)) for name, (x, _) in splits.items()}
    )


def net(outputs: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 6, 3), nn.ReLU(), nn.Conv1d(6, 6, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(72, 8), nn.ReLU(), nn.Linear(8, outputs),
    )  # fmt: skip


def classifier(classes: int) -> nn.Module:
    return net(classes)


def study(out: Path, **options: Any) -> Any:
    given = {"methods": ["magnitude", "dense"], "levels": [0.5], "workers": 1, "threads": 1}
    return secateur.sweep(**{**given, **SHORT, "out": out, **options})


def test_a_regression_picks_and_draws_errors(tmp_path: Path) -> None:
    methods = ["magnitude", "l1-filter", "slimming", "random-filter", "scratch", "dense"]
    found = study(
        tmp_path, model=net, data=numbers(), task="regression",
        methods={name: {} for name in methods} | {"slimming": {"sparsity_epochs": 1}},
    )  # fmt: skip
    assert {point.method for point in found.points} == set(methods)
    for point in found.points:
        assert [one.name for one in point.scores] == [
            "val_rmse", "val_mae", "val_r2", "test_rmse", "test_mae", "test_r2",
        ]  # fmt: skip
        assert not point.val.higher
        assert point.baseline is not None
        assert point.majority is None
        assert set(point.curve[0]) == {"epoch", "loss", "val_rmse"}
        assert point.latency
        assert point.artifact_bytes
    lowest = min(point.val.value for point in found.points)
    assert any(one.points[0].val.value == lowest for one in found.frontier())
    words = str(found.pick(at_most={"val_rmse": 1000}))
    assert words.startswith("Pick for a validation RMSE of at most 1000: ")
    assert "accuracy" not in repr(found.table()) + found._repr_html_()


def test_a_time_series_is_classified(tmp_path: Path) -> None:
    found = study(tmp_path, model=classifier, data=waves(), methods=["l1-filter", "dense"])
    assert all(point.val.total == 16 for point in found.points)
    assert all(point.majority == 6 for point in found.points)


def train(model: nn.Module, run: TrainingRun) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.settings.learning_rate)
    run.freeze(optimizer)
    x = run.data.example(4)
    for _ in range(run.epochs):
        loss = model(x).square().mean() + run.penalty()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        run.report(loss=float(loss.detach()), size=float(loss.detach()))


def evaluate(model: nn.Module, split: OwnSplit) -> dict[str, float]:
    with torch.no_grad():
        return {"size": float(model(split.data.example(4)).abs().mean())}


def test_a_loop_and_metrics_of_one_s_own(tmp_path: Path) -> None:
    data = external("series", version="1", example=waves().example(4))
    options = {
        "model": net,
        "data": data,
        "train": train,
        "evaluate": evaluate,
        "quality": {"size": "lower"},
        "methods": ["magnitude", "l1-filter", "dense"],
    }
    found = study(tmp_path, **options)
    assert {one.name for point in found.points for one in point.scores} == {"val_size", "test_size"}
    point = next(one for one in found.points if one.method == "magnitude")
    state, masks = load_checkpoint(found.checkpoint(point))
    assert masks is not None
    zeros = sum(int(state[name][~masks[name]].count_nonzero()) for name in masks)
    assert (zeros, point.curve[0].keys()) == (0, {"epoch", "loss", "val_size"})
    before = Store(tmp_path).attempts()
    assert {one.collapsed for one in found.points} == {None}
    again = study(tmp_path, **options, baseline=0.0)
    assert Store(tmp_path).attempts() == before  # and nothing is trained anew
    assert all(one.collapsed for one in again.points)
    assert not again.frontier()
    assert not again.pick(at_most={"val_size": 1000}).met
    assert Store(tmp_path).value("data")["version"] == "1"


def revives(model: nn.Module, run: TrainingRun) -> None:
    train(model, run)
    if run.masks:
        with torch.no_grad():
            for name, parameter in run.masks.parameters_of(model).items():
                parameter[~run.masks[name]] = 1.0


def test_revived_zeros_fail_by_name_and_the_rest_goes_on(tmp_path: Path) -> None:
    found = study(
        tmp_path, model=net, data=waves(), train=revives, evaluate=evaluate,
        quality={"size": "lower"},
    )  # fmt: skip
    ((title, why),) = found.failures
    assert title == "magnitude 0.5 seed 0"
    assert "no longer zero at" in why
    assert {point.method for point in found.points} == {"dense"}


class Sizes(Task):
    qualities = (Quality("size", higher=False),)

    def loss(self, output: torch.Tensor, batch: Any) -> torch.Tensor:
        return output.square().mean()

    def meter(self, data: Data) -> Any:
        return self

    def update(self, output: torch.Tensor, batch: Any) -> None:
        self.found = float(output.abs().mean())

    def values(self) -> dict[str, float]:
        return {"size": self.found}


def test_a_task_of_one_s_own(tmp_path: Path) -> None:
    found = study(tmp_path, model=net, data=waves(), task=Sizes())
    assert {point.val.metric for point in found.points} == {"size"}
    assert found.points[0].collapsed is None


def test_another_loop_makes_new_runs(tmp_path: Path) -> None:
    runs: list[set[str]] = []
    changes: list[dict[str, Any]] = [
        {}, {"task": {"name": "regression", "options": {"minimise": "mae"}}},
        {"task": Regression()}, {"train": train}, {"train": revives},
    ]  # fmt: skip
    for place, change in enumerate(changes):
        options = {"model": net, "data": numbers(), "task": "regression", "methods": ["dense"]}
        found = study(tmp_path / str(place), **{**options, **change})
        runs.append({point.digest for point in found.points})
    assert len(set.union(*runs)) == sum(map(len, runs))


def test_a_checkpoint_is_the_start_and_names_the_runs(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        start = net()
        torch.save(start.state_dict(), path)
        found.append(
            study(
                tmp_path / str(seed), model=net, data=numbers(), task="regression",
                checkpoint=path, base_epochs=0, methods=["magnitude", "scratch", "dense"],
            )
        )  # fmt: skip
        base = found[-1].points[0]
        assert (base.epochs.base, base.epochs.given) == (0, True)
        state, _ = load_checkpoint(found[-1].checkpoint(base))
        assert all(torch.equal(state[name], one) for name, one in start.state_dict().items())
    one, other = ({point.digest for point in each.points} for each in found)
    assert not one & other
    torch.save(net(2).state_dict(), path)
    with pytest.raises(ModelError, match="of another net"):
        study(tmp_path / "3", model=net, data=numbers(), task="regression", checkpoint=path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "regresion"}, "Did you mean 'regression'"),
        ({"task": "regression", "model": classifier}, "failing|the model's output"),
        ({"evaluate": "mine"}, "package.module:function"),
        (
            {"evaluate": lambda _: {}, "quality": {"size": "lower"}},
            r"called as evaluate\(model, split\)",
        ),
        ({"train": lambda _model, _run, _more: None}, r"called as train\(model, run\)"),
        ({"quality": {"size": "lower"}}, "`evaluate` beside `quality`"),
        ({"train": "json:absent"}, "cannot be imported"),
        (
            {"train": train, "evaluate": lambda *_: {}, "quality": {"size": "lower"}},
            "'size' is not among",
        ),
        ({"evaluate": lambda *_: {"size": 1.0}, "quality": {"size": "up"}}, "quality.size"),
    ],
)
def test_what_is_wrong_is_told_before_training(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises((UsageError, secateur.SecateurError), match=words):
        study(tmp_path / "run", **{"model": net, "data": waves(), **change})
    assert not (tmp_path / "run" / "study.sqlite").exists()


def test_targets_are_levels(tmp_path: Path) -> None:
    found = study(
        tmp_path, model=classifier, data=waves(), base_epochs=1,
        levels=[{"macs": 0.6}, {"bytes": 6000}],
        methods={"magnitude": {}, "l1-filter": {"levels": [{"parameters": 0.5}]}, "dense": {}},
    )  # fmt: skip
    assert not found.failures
    by_name = {(one.method, one.level_name): one for one in found.points if one.level}
    assert set(by_name) == {
        ("magnitude", "macs=0.6"), ("magnitude", "bytes=6000"), ("l1-filter", "parameters=0.5"),
    }  # fmt: skip
    for point in by_name.values():
        assert point.reached is not None
        assert point.reached.cost <= point.reached.limit
    macs = by_name["magnitude", "macs=0.6"]
    assert macs.nonzero_macs <= 0.6 * macs.masked_macs
    half = by_name["l1-filter", "parameters=0.5"]
    assert half.compact_parameters <= half.parameters / 2
    size = by_name["magnitude", "bytes=6000"].artifact_bytes
    assert size is not None
    assert size <= 6000
    assert {"target_limit", "target_cost", "target_dense"} <= set(found.table()[0])
    with pytest.raises(UsageError, match="out of reach: from"):
        study(tmp_path / "far", model=classifier, data=waves(), levels=[{"macs": 3}],
              methods=["l1-filter"])  # fmt: skip
