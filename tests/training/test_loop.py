"""Loops of the user's own: what they get, and what is checked of what they leave."""

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from secateur.data import from_tensors
from secateur.data.data import Data
from secateur.errors import MaskError, ModelError, TrainingError
from secateur.pruning.masks import Masks
from secateur.tasks.regression import Regression
from secateur.tasks.task import Quality
from secateur.training.loop import Loop, OwnSplit
from secateur.training.own_loop import TrainingRun
from secateur.training_settings import TrainingSpec

X = torch.linspace(-1, 1, 24).reshape(12, 2)
DATA = from_tensors(
    "line", train=(X, X.sum(1)), val=(X[:6] + 0, X[:6].sum(1)), test=(X[6:] + 0, X[6:].sum(1))
)
SPEC = TrainingSpec(batch_size=4, learning_rate=0.05)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))


def masks() -> Masks:
    return Masks({"0.weight": torch.arange(16).reshape(8, 2) % 2 == 0})


def good(model: nn.Module, run: TrainingRun) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.settings.learning_rate)
    run.freeze(optimizer)
    for epoch in range(run.epochs):
        total = 0.0
        for batch in run.batches(epoch=epoch):
            loss = run.loss(model, batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach())
        run.report(loss=total)


def trained(train: Callable[..., Any], model: nn.Module, **options: Any) -> tuple[Any, ...]:
    held = masks().apply(model)
    loop = Loop(Regression(), train)
    return loop.fit(model, DATA, SPEC, epochs=3, seed=1, device="cpu", masks=held, **options)


def test_a_loop_of_one_s_own_trains_on_masks() -> None:
    model = net()
    before = Loop(Regression()).score(model, DATA, "val", 4)[0].value
    curve = trained(good, model)
    assert [(one.epoch, one.val) for one in curve] == [(1, None), (2, None), (3, None)]
    weight = model[0].weight.detach()  # type: ignore[index]
    assert int(weight[~masks()["0.weight"]].count_nonzero()) == 0
    assert Loop(Regression()).score(model, DATA, "val", 4)[0].value < before


def test_the_same_seed_gives_the_same_bits() -> None:
    one, other = net(), net()
    trained(good, one)
    trained(good, other)
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)


def forgets(model: nn.Module, run: TrainingRun) -> None:
    run.masks = Masks({})
    held = masks()
    good(model, run)
    run.masks = held


def too_few(model: nn.Module, run: TrainingRun) -> None:
    run.report(loss=1.0)


def too_many(model: nn.Module, run: TrainingRun) -> None:
    for _ in range(run.epochs + 1):
        run.report(loss=1.0)


def not_finite(model: nn.Module, run: TrainingRun) -> None:
    run.report(loss=float("nan"))


def no_number(model: nn.Module, run: TrainingRun) -> None:
    run.report(loss=None)  # type: ignore[arg-type]


def several_numbers(model: nn.Module, run: TrainingRun) -> None:
    run.report(loss=torch.ones(2))  # type: ignore[arg-type]


def breaks(model: nn.Module, run: TrainingRun) -> None:
    good(model, run)
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.inf


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (forgets, r"0.weight is no longer zero at \d+ pruned elements.*run.freeze\(optimizer\)"),
        (too_few, "the epochs is 1 reported, expected 3"),
        (too_many, "the epochs is more than 3"),
        (not_finite, "the loss of epoch 1 is nan"),
        (no_number, "the loss of epoch 1 is None"),
        (several_numbers, r"the loss of epoch 1 is tensor\(\[1., 1.\]\)"),
        (breaks, "0.weight is not finite after epoch 3"),
    ],
)
def test_what_is_wrong_is_named(train: Callable[..., Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        trained(train, net())


@pytest.mark.parametrize("kind", [float, numpy.float32, torch.tensor])
def test_a_loss_may_be_any_number(kind: Callable[[float], Any]) -> None:
    def train(model: nn.Module, run: TrainingRun) -> None:
        good(model, run)
        run._curve.clear()
        for _ in range(run.epochs):
            run.report(loss=kind(0.5), rmse=kind(0.25))

    curve = trained(train, net())
    assert [(one.loss, one.val) for one in curve] == [(0.5, 0.25)] * 3


def test_an_optimizer_of_another_net_is_refused() -> None:
    def other(model: nn.Module, run: TrainingRun) -> None:
        run.freeze(torch.optim.SGD(net().parameters(), lr=0.1))

    with pytest.raises(MaskError):
        trained(other, net())


def test_the_penalty_has_to_be_asked_for() -> None:
    def without(model: nn.Module, run: TrainingRun) -> None:
        for _ in range(run.epochs):
            run.report(loss=1.0)

    trained(good, net(), penalty=lambda: torch.zeros(()))
    with pytest.raises(TrainingError, match=r"without its penalty"):
        trained(without, net(), penalty=lambda: torch.zeros(()))


def measure(model: nn.Module, split: OwnSplit) -> dict[str, float]:
    assert not model.training
    count = sum(len(target) for _, target in split.batches())
    return {"count": count, "error": 2.0 if split.name == "val" else 3.0}


QUALITY = (Quality("error", higher=False), Quality("count", higher=True))


def test_metrics_of_one_s_own() -> None:
    loop = Loop(Regression(), evaluate=measure, own_qualities=QUALITY)
    found = loop.score(net(), DATA, "test", 4)
    assert [(one.name, one.value, one.higher) for one in found] == [
        ("test_error", 3.0, False), ("test_count", 6.0, True),
    ]  # fmt: skip
    curve = loop.fit(net(), DATA, SPEC, epochs=1, seed=0, device="cpu")
    assert curve[0].to_dict()["val_error"] == 2.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"error": 1.0}, "'count' is not among those measured"),
        ({"error": 1.0, "count": 1, "more": 2}, "'more' is not the task's"),
        ({"error": "low", "count": 1}, "'error' on the val split is 'low'"),
        ({"error": True, "count": 1}, "'error' on the val split is True"),
        (0.5, "what `evaluate` returns is a float"),
    ],
)
def test_metrics_that_were_not_announced_are_named(given: Any, words: str) -> None:
    loop = Loop(Regression(), evaluate=lambda *_: given, own_qualities=QUALITY)
    with pytest.raises(TrainingError, match=words):
        loop.check(DATA, net())


class Shapes(Regression):
    def loss(self, output: Any, batch: Any) -> Tensor:
        return output  # type: ignore[no-any-return]


def test_a_loss_that_is_no_scalar_is_refused_before_training() -> None:
    with pytest.raises(ModelError, match=r"the loss is of shape \(2, 1\)"):
        Loop(Shapes()).check(DATA, net())


def test_data_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    data: Data = DATA
    with pytest.raises(ModelError, match="as the target"):
        Loop(Regression()).check(data, nn.Linear(2, 3))
