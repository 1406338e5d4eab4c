"""Every registered task, on small numbers that a person can check."""

import math

import pytest
import torch
from torch import Tensor, nn

from secateur.data import from_tensors
from secateur.data.data import Batch, Data
from secateur.errors import DataError, ModelError, TrainingError, UsageError
from secateur.point import Share
from secateur.registry import TASKS
from secateur.tasks import Quality, Task, find_task
from secateur.tasks.task import answer, target_of
from secateur.training.loop import Loop
from secateur.training.score import score


class Echo(nn.Module):
    """Gives its input back."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def data_of(inputs: Tensor, target: Tensor, classes: int | None = None) -> Data:
    """The same few examples in every split."""
    splits = {split: (inputs.clone(), target.clone()) for split in ("train", "val", "test")}
    return from_tensors("few", **splits, classes=classes)


def logits(best: Tensor, classes: int) -> Tensor:
    """Scores, classes on the second axis, whose largest is at `best`."""
    return nn.functional.one_hot(best, classes).float().movedim(-1, 1) * 5


CLASSES = data_of(logits(torch.tensor([0, 1, 2, 2]), 3), torch.tensor([0, 1, 2, 0]), 3)
NUMBERS = data_of(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 4.0, 4.0]))
PIXELS = data_of(logits(torch.tensor([[[0, 0], [1, 1]]]), 2), torch.tensor([[[0, 1], [1, 255]]]), 2)
TOKENS = data_of(
    logits(torch.tensor([[0, 1, 1, 0]]), 2).movedim(1, 2), torch.tensor([[0, 1, 0, -100]])
)
GOLDEN = {
    "classification": (CLASSES, {"accuracy": 3 / 4}),
    "sequence-classification": (CLASSES, {"accuracy": 3 / 4}),
    "regression": (
        NUMBERS,
        {"rmse": math.sqrt(4 / 3), "mae": 2 / 3, "r2": 1 - 4 / 6},
    ),
    # Class 0: one of two; class 1: one of two; a pixel of 255 counts for nothing.
    "segmentation": (PIXELS, {"miou": 1 / 2, "pixel_accuracy": 2 / 3}),
    "language-model": (
        TOKENS,
        {
            "perplexity": math.exp((2 * math.log1p(math.exp(-5)) + math.log1p(math.exp(5))) / 3),
            "token_accuracy": 2 / 3,
        },
    ),
}
SHARES = {"accuracy": (3, 4), "pixel_accuracy": (2, 3), "token_accuracy": (2, 3)}


def test_every_task_has_a_golden_table() -> None:
    assert {name for name in TASKS if TASKS.origin(name) == "secateur"} == GOLDEN.keys()


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("batch", [1, 2, 64])
def test_golden(name: str, batch: int) -> None:
    data, expected = GOLDEN[name]
    task = find_task(name, {})
    task.evaluation_batch = batch
    found = {one.metric: one for one in score(Echo(), data, "val", task)}
    assert list(found) == [one.metric for one in task.qualities] == list(expected)
    for metric, value in expected.items():
        assert found[metric].value == pytest.approx(value, rel=1e-6)
        assert found[metric].split == "val"
        share = found[metric].share
        assert share == (Share(*SHARES[metric]) if metric in SHARES else None)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_loss_is_one_number_that_falls(name: str) -> None:
    data, _ = GOLDEN[name]
    task = find_task(name, {})
    inputs, target = next(iter(data.batches("train", 64)))
    model = Echo()
    loss = task.loss(model(inputs), (inputs, target))
    assert (loss.shape, loss.requires_grad) == ((), True)
    (slope,) = torch.autograd.grad(loss, [model.weight])
    with torch.no_grad():
        model.weight -= 0.01 * slope.sign()
    assert task.loss(model(inputs), (inputs, target)) < loss


@pytest.mark.parametrize("name", GOLDEN)
def test_another_shape_is_refused(name: str) -> None:
    data, _ = GOLDEN[name]
    task = find_task(name, {})
    batch = next(iter(data.batches("val", 64)))
    task.check_output(batch[0], batch, data, exactly=True)
    with pytest.raises(ModelError, match="output"):
        task.check_output(torch.zeros(7, 5, 4), batch, data)


BASELINES = {
    "classification": Share(2, 4),
    "sequence-classification": Share(2, 4),
    "regression": math.sqrt(2),
    "segmentation": 2 / 3 / 2,
    "language-model": math.exp(-(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_guess_scores(name: str) -> None:
    found = find_task(name, {}).baseline(GOLDEN[name][0])
    expected = BASELINES[name]
    assert found == (expected if isinstance(expected, Share) else pytest.approx(expected))


def test_labels_among_the_inputs_are_shifted_as_in_transformers() -> None:
    task = find_task("language-model", {})
    tokens = torch.tensor([[0, 1, 1]])
    scores = logits(torch.tensor([[1, 1, 0]]), 2).movedim(1, 2)
    meter = task.meter(CLASSES)
    meter.update({"logits": scores}, ({"input_ids": tokens, "labels": tokens}, None))
    assert meter.values()["token_accuracy"] == Share(2, 2)


def test_a_net_s_own_loss_is_taken_where_it_gives_one() -> None:
    batch = ({"labels": torch.tensor([0])}, None)
    output = {"loss": torch.tensor(2.5), "logits": torch.zeros(1, 3)}
    for name in ("sequence-classification", "language-model"):
        assert find_task(name, {}).loss(output, batch).item() == 2.5
    assert find_task("classification", {}).loss(output, batch).item() == pytest.approx(math.log(3))


def test_nothing_is_broadcast() -> None:
    task = find_task("regression", {})
    with pytest.raises(ModelError, match="as the target"):
        task.loss(torch.zeros(4, 4), (None, torch.zeros(4)))


def test_an_answer_is_found_in_what_a_net_returns() -> None:
    class Output:
        logits = torch.ones(1)

    for output in (Output(), {"out": torch.ones(1)}, (None, torch.ones(1)), [torch.ones(1)]):
        assert torch.equal(answer(output), torch.ones(1))
    with pytest.raises(ModelError, match="a str"):
        answer("scores")
    with pytest.raises(DataError, match="the target is none"):
        target_of((torch.ones(1), None))


def test_options_and_tasks_of_one_s_own() -> None:
    assert find_task("regression", {"minimise": "mae", "unit": "K"}).qualities[0].unit == "K"
    with pytest.raises(UsageError, match="minimise is 'mea'"):
        find_task("regression", {"minimise": "mea"})
    with pytest.raises(UsageError, match="options"):
        find_task("regression", {"minimize": "mae"})
    for path, given in (("json:dumps", "failing|it fails"), ("json:JSONDecoder", "JSONDecoder")):
        with pytest.raises(UsageError, match=given):
            find_task(TASKS.open(path), {})


class Halves(Task):
    qualities = (Quality("error", higher=False),)

    def meter(self, data: Data) -> "Halves":
        return self

    def update(self, output: Tensor, batch: Batch) -> None:
        self.found = float(output.mean())

    def values(self) -> dict[str, float]:
        return {"error": self.found}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_metric_that_is_not_finite_is_refused(bad: float) -> None:
    data = data_of(torch.full((2, 1), 1.0), torch.zeros(2))
    model = Echo()
    with torch.no_grad():
        model.weight.fill_(bad)
    with pytest.raises(TrainingError, match="'error' on the val split is"):
        score(model, data, "val", Halves())


@pytest.mark.parametrize(
    "given",
    [("a b", ""), ("total", ""), ("majority", ""), ("rmse", "x" * 81), ("rmse", "a\nb"), ("", "")],
)
def test_a_metric_that_could_name_no_column(given: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="naming a metric"):
        Quality(given[0], higher=True, label=given[1])


def test_two_metrics_of_one_name() -> None:
    class Twice(Task):
        qualities = (Quality("error", higher=False), Quality("error", higher=True))

    with pytest.raises(UsageError, match="each word once"):
        Loop(Twice())
