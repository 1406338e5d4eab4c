"""A net that learns another one's answers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import secateur.data
from secateur.data.images import ImageData
from secateur.errors import UsageError
from secateur.tasks.classification import Classification
from secateur.tasks.regression import Regression
from secateur.training.fit import fit
from secateur.training.loop import Loop
from secateur.training.teacher import Teacher
from secateur.training_settings import TrainingSpec

SPEC = TrainingSpec(optimizer="sgd", momentum=0.0, learning_rate=0.1, batch_size=10)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return secateur.data.load("shapes", train=20, val=10, test=5, size=8, classes=3)


def linear(data: ImageData, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    features = data.train.images[0].numel()
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(features, data.classes))


def trained(data: ImageData, teacher: Teacher | None, epochs: int = 2) -> nn.Sequential:
    net = linear(data, 0)
    fit(net, data, SPEC, epochs=epochs, teacher=teacher, device="cpu")
    return net


def distance(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return sum(float((a - b).detach().norm()) for a, b in pairs)


def test_a_loss_is_a_mean_of_the_labels_and_the_teachers() -> None:
    master = nn.Linear(2, 2)
    inputs, labels = torch.eye(2), torch.tensor([0, 1])
    task, output = Classification(), torch.zeros(2, 2)
    loss = task.loss(output, (inputs, labels))
    with torch.no_grad():
        soft = task.distillation(output, master(inputs), (inputs, labels), 3.0)
    for weight in (0.0, 0.25, 1.0):
        found = Teacher(master, weight, 3.0, 1).blend(loss, output, (inputs, labels), task)
        assert float(found) == pytest.approx(float((1 - weight) * loss + weight * soft))


def test_the_teacher_is_left_as_it_was_and_no_gradient_reaches_it(data: ImageData) -> None:
    master = linear(data, 1).train()
    before = copy.deepcopy(master.state_dict())
    trained(data, Teacher(master, 0.5, 2.0, 9))
    assert all(torch.equal(before[name], value) for name, value in master.state_dict().items())
    assert all(parameter.grad is None for parameter in master.parameters())


def test_it_pulls_towards_the_teacher(data: ImageData) -> None:
    master = linear(data, 1)
    alone, taught = trained(data, None, 20), trained(data, Teacher(master, 1.0, 1.0, 99), 20)
    examples = data.example(10)
    with torch.no_grad():
        answers = [net.eval()(examples).softmax(1) for net in (alone, taught, master)]
    assert (answers[1] - answers[2]).norm() < 0.5 * (answers[0] - answers[2]).norm()


def test_it_teaches_its_epochs_and_no_more(data: ImageData) -> None:
    master = linear(data, 1)
    nobody, none = trained(data, None), trained(data, Teacher(master, 0.9, 2.0, 0))
    one, both = (trained(data, Teacher(master, 0.9, 2.0, epochs)) for epochs in (1, 2))
    assert distance(nobody, none) == 0
    assert distance(nobody, one) > 0
    assert distance(one, both) > 0


def test_a_task_that_compares_nothing_is_found_before_any_training(data: ImageData) -> None:
    few = {split: (torch.rand(4, 3), torch.rand(4)) for split in ("train", "val", "test")}
    numbers = secateur.data.from_tensors("numbers", **few)
    net = nn.Linear(3, 1)
    Loop(Regression()).check(numbers, net)
    with pytest.raises(UsageError, match=r"distilling a net: the task Regression"):
        Loop(Regression()).check(numbers, net, 4.0)
    Loop(Classification()).check(data, linear(data, 0), 4.0)
