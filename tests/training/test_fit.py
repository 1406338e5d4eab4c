from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import secateur.data
from secateur import models
from secateur.data.images import ImageData, image_data
from secateur.data.split import Split
from secateur.errors import DeviceError, MaskError, ModelError, TrainingError
from secateur.pruning.cutter import Cutter
from secateur.pruning.masks import Masks
from secateur.training.evaluate import evaluate
from secateur.training.fit import Epoch, fit, steps_an_epoch, stream
from secateur.training_settings import TrainingSpec

PLAIN = TrainingSpec(optimizer="sgd", momentum=0.0, learning_rate=1e-3, batch_size=8)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return secateur.data.load(
        "shapes", train=20, val=10, test=5, size=12, classes=3, flip=True, crop=1
    )


def linear(data: ImageData) -> nn.Sequential:
    torch.manual_seed(0)
    features = data.train.images[0].numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(features, data.classes))


def conv4(data: ImageData) -> nn.Module:
    torch.manual_seed(0)
    return models.build("conv4", data.shape, data.classes)


def bits(model: nn.Module) -> dict[str, bytes]:
    return {k: v.contiguous().numpy().tobytes() for k, v in model.state_dict().items()}


@pytest.mark.parametrize(
    "settings", [{}, {"precision": "bf16", "optimizer": "adamw"}, {"clip_norm": 0.1}]
)
def test_the_same_arguments_give_the_same_bits(
    settings: dict[str, object], data: ImageData
) -> None:
    spec = TrainingSpec(batch_size=8).model_copy(update=settings)
    start = conv4(data)
    runs = []
    for disturb in (1, 2):
        model = copy.deepcopy(start)
        torch.manual_seed(disturb)
        runs.append((fit(model, data, spec, epochs=2, seed=3, device="cpu"), bits(model)))
    assert runs[0] == runs[1]
    other = copy.deepcopy(start)
    fit(other, data, spec, epochs=2, seed=4, device="cpu")
    assert bits(other) != runs[0][1]


def test_the_callers_generator_is_left_alone(data: ImageData) -> None:
    before = torch.get_rng_state()
    fit(conv4(data).train(), data, PLAIN, epochs=1, device="cpu")
    torch.manual_seed(0)
    torch.set_rng_state(before)
    model = conv4(data)
    state = torch.get_rng_state()
    fit(model, data, PLAIN, epochs=1, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)


def test_streams_are_apart_and_pinned() -> None:
    assert stream(0, "init") == 11867732879391089
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1), (0, "a", 2), (0,)]
    assert len({stream(seed, *rest) for seed, *rest in names}) == len(names)


def test_it_learns() -> None:
    def split(count: int) -> Split:  # the left half is bright, or the right one
        labels = torch.arange(count) % 2
        images = torch.randint(0, 100, (count, 3, 12, 12), dtype=torch.uint8)
        images[labels == 0, :, :, :6] += 150
        images[labels == 1, :, :, 6:] += 150
        return Split(images, labels)

    torch.manual_seed(0)
    halves = image_data("halves", train=split(64), val=split(20), test=split(2), classes=2)
    curve = fit(conv4(halves), halves, TrainingSpec(batch_size=8), epochs=4, device="cpu")
    assert curve[-1].loss < 0.5 * curve[0].loss
    assert curve[-1].val >= 0.9


def test_the_curve_is_what_was_seen(data: ImageData) -> None:
    model, seen = conv4(data), []

    def look(entry: Epoch) -> None:
        seen.append(entry)
        assert entry.val == evaluate(model, data, data.val).value

    curve = fit(model, data, PLAIN, epochs=3, device="cpu", on_epoch=look)
    assert curve == tuple(seen)
    assert [entry.epoch for entry in curve] == [1, 2, 3]


def test_no_epochs_train_nothing(data: ImageData) -> None:
    model = conv4(data)
    before = bits(model)
    assert fit(model, data, PLAIN, epochs=0, device="cpu") == ()
    assert bits(model) == before


def test_the_loss_is_a_mean_over_images_the_short_batch_included(data: ImageData) -> None:
    plain = replace(data, flip=False, crop=0)  # 20 images: batches of 8, 8 and 4
    still = PLAIN.model_copy(update={"learning_rate": 1e-30})
    model = linear(data)
    (entry,) = fit(model, plain, still, epochs=1, device="cpu")
    images = plain.normalise(plain.train.images)
    with torch.no_grad():
        expected = functional.cross_entropy(model(images), plain.train.labels)
    assert entry.loss == pytest.approx(expected.item(), rel=1e-5)


def gradient_steps(data: ImageData, model: nn.Module, batches: list[list[slice]]) -> None:
    """Plain descent by hand: one step for each list, on the mean loss over its batches."""
    images = data.normalise(data.train.images)
    for step in batches:
        losses = [functional.cross_entropy(model(images[b]), data.train.labels[b]) for b in step]
        model.zero_grad()
        torch.stack(losses).mean().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= PLAIN.learning_rate * parameter.grad


@pytest.mark.parametrize(
    ("accumulate", "steps"), [(1, [[0], [1], [2]]), (2, [[0, 1], [2]]), (3, [[0, 1, 2]])]
)
def test_accumulated_steps_follow_the_mean_of_their_batches(
    accumulate: int, steps: list[list[int]], data: ImageData
) -> None:
    # All images alike, so that their order does not matter; 20 of them in batches of 8, 8, 4.
    one = replace(data.train, images=data.train.images[:1].expand(20, -1, -1, -1))
    alike = replace(
        data, train=replace(one, labels=torch.ones_like(one.labels)), flip=False, crop=0
    )
    model = linear(data)
    expected = copy.deepcopy(model)
    parts = [slice(0, 8), slice(8, 16), slice(16, 20)]
    gradient_steps(alike, expected, [[parts[number] for number in step] for step in steps])
    spec = PLAIN.model_copy(update={"accumulate": accumulate})
    fit(model, alike, spec, epochs=1, device="cpu")
    assert torch.allclose(model[1].weight, expected[1].weight, rtol=0, atol=1e-7)


def test_clipping_bounds_a_step(data: ImageData) -> None:
    spec = PLAIN.model_copy(update={"clip_norm": 0.01, "batch_size": 20, "learning_rate": 1.0})
    model = linear(data)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    fit(model, data, spec, epochs=1, device="cpu")
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_penalty_is_in_the_loss(data: ImageData) -> None:
    model, twin = linear(data), linear(data)
    still = PLAIN.model_copy(update={"learning_rate": 1e-30})
    (plain,) = fit(twin, data, still, epochs=1, device="cpu")
    (with_penalty,) = fit(
        model, data, still, epochs=1, device="cpu", penalty=lambda: torch.tensor(2.5)
    )
    assert with_penalty.loss == pytest.approx(plain.loss + 2.5)


def test_a_learning_rate_of_its_own(data: ImageData) -> None:
    model, twin = linear(data), linear(data)
    fit(model, data, PLAIN, epochs=1, device="cpu", learning_rate=0.02)
    fit(twin, data, PLAIN.model_copy(update={"learning_rate": 0.02}), epochs=1, device="cpu")
    assert bits(model) == bits(twin)


def test_cosine_ends_at_rest(data: ImageData) -> None:
    spec = PLAIN.model_copy(update={"schedule": "cosine", "accumulate": 2})
    rates: list[float] = []
    original = torch.optim.SGD.step

    def step(self: torch.optim.SGD, *args: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", step)
        fit(linear(data), data, spec, epochs=2, device="cpu")
    # Two steps an epoch, of 2 and 1 batches: four in all.
    assert rates == pytest.approx([1e-3, 0.853553e-3, 0.5e-3, 0.146447e-3], rel=1e-5)


def test_masks_are_held_and_let_go(data: ImageData) -> None:
    model = linear(data)
    masks = Masks({"1.weight": torch.rand(model[1].weight.shape) < 0.5})
    fit(model, data, PLAIN, epochs=2, masks=masks, device="cpu")
    words = model[1].weight.detach().view(torch.int32)
    assert int(words[~masks["1.weight"]].count_nonzero()) == 0
    assert model[1].weight._post_accumulate_grad_hooks == {}


def test_masks_of_another_model_are_refused_before_training(data: ImageData) -> None:
    model = linear(data)
    before = bits(model)
    with pytest.raises(MaskError, match="without its parameter"):
        fit(model, data, PLAIN, epochs=1, masks=Masks({"x": torch.ones(1) > 0}), device="cpu")
    assert bits(model) == before


class _Breaks(nn.Module):
    """Gives NaN from a given batch on."""

    def __init__(self, data: ImageData, at: int) -> None:
        super().__init__()
        self.inner = linear(data)
        self.calls, self.at = 0, at

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        scores: Tensor = self.inner(images)
        return scores * float("nan") if self.calls >= self.at else scores


def test_a_loss_that_is_nan_stops_the_epoch_early() -> None:
    long = secateur.data.load("shapes", train=400, val=5, test=5, size=8, classes=3)
    model = _Breaks(long, at=3)
    spec = PLAIN.model_copy(update={"batch_size": 1})
    with pytest.raises(TrainingError, match="not finite by step 25 of epoch 1"):
        fit(model, long, spec, epochs=5, device="cpu")
    assert model.calls == 25


def test_a_loss_that_is_nan_in_the_last_batch_is_seen(data: ImageData) -> None:
    with pytest.raises(TrainingError, match="not finite by step 3 of epoch 1"):
        fit(_Breaks(data, at=3), data, PLAIN, epochs=1, device="cpu")


def test_a_weight_that_the_last_step_broke_is_named(data: ImageData) -> None:
    model = linear(data)
    spec = PLAIN.model_copy(update={"batch_size": 20, "learning_rate": 1e10})
    with pytest.raises(TrainingError, match="expected finite weights") as caught:
        fit(model, data, spec, epochs=1, device="cpu", penalty=lambda: 1e30 * model[1].bias.sum())
    assert caught.value.subject == "1.bias"


def test_hooks_are_gone_after_a_failure(data: ImageData) -> None:
    model = _Breaks(data, at=1)
    weight = model.inner[1].weight
    masks = Masks({"inner.1.weight": torch.rand(weight.shape) < 0.5})
    with pytest.raises(TrainingError):
        fit(model, data, PLAIN, epochs=1, masks=masks, device="cpu")
    assert weight._post_accumulate_grad_hooks == {}


class _Gives(nn.Module):
    def __init__(self, what: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.what = what

    def forward(self, images: Tensor) -> object:
        return self.what


@pytest.mark.parametrize(
    ("what", "given"),
    [
        (torch.zeros(8, 2), r"of shape \(8, 2\)"),
        (torch.zeros(8, 3, 1), r"of shape \(8, 3, 1\)"),
        (torch.zeros(8), r"of shape \(8,\)"),
        (("no scores",), "a tuple"),
        ({"logits": 1}, "a dict"),
    ],
)
def test_an_output_that_is_no_score_a_class_is_refused(
    what: object, given: str, data: ImageData
) -> None:
    with pytest.raises(ModelError, match=f"the model's output is {given}"):
        fit(_Gives(what), data, PLAIN, epochs=1, device="cpu")


def test_an_output_that_no_weight_made_is_refused(data: ImageData) -> None:
    with pytest.raises(ModelError, match="depends on no weight"):
        fit(_Gives((torch.zeros(8, 3),)), data, PLAIN, epochs=1, device="cpu")


def test_an_absent_device_is_refused_before_training(data: ImageData) -> None:
    model = linear(data)
    before = bits(model)
    with pytest.raises(DeviceError):
        fit(model, data, PLAIN, epochs=1, device="cuda:99")
    assert bits(model) == before


def test_the_net_is_left_in_channels_last(data: ImageData) -> None:
    model = conv4(data)
    fit(model, data, PLAIN, epochs=0, device="cpu")
    assert model.conv2.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_net_with_five_axes_trains_too(data: ImageData) -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv3d(3, 2, (1, 3, 3)), nn.Linear(200, 3)

        def forward(self, images: Tensor) -> Tensor:
            out: Tensor = self.fc(self.conv(images.unsqueeze(2)).flatten(1))
            return out

    (entry,) = fit(Deep(), data, PLAIN, epochs=1, device="cpu")
    assert entry.epoch == 1


class Noting(Cutter):
    """Notes when it is called, and cuts nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []

    def start(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        self.calls.append(("start", step))

    def step(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        self.calls.append(step)

    def stop(self) -> None:
        self.calls.append("stop")


def test_a_cutter_is_told_of_every_step_of_the_optimizer_and_let_go(data: ImageData) -> None:
    # 20 images: three batches, of which two make a step, and one the last.
    spec = PLAIN.model_copy(update={"accumulate": 2})
    assert steps_an_epoch(data, spec) == 2
    cutter = Noting()
    fit(linear(data), data, spec, epochs=2, cutter=cutter, device="cpu")
    assert cutter.calls == [("start", 0), 1, 2, 3, 4, "stop"]


def test_a_cutter_is_let_go_when_training_fails(data: ImageData) -> None:
    cutter = Noting()
    with pytest.raises(TrainingError):
        fit(linear(data), data, PLAIN, epochs=2, learning_rate=1e38, cutter=cutter, device="cpu")
    assert cutter.calls[-1] == "stop"
