from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import secateur.data
from secateur import models
from secateur.data.images import ImageData
from secateur.errors import DataError, ModelError, TrainingError
from secateur.pruning.slimming_norms import insert_norms
from secateur.tasks.regression import Regression
from secateur.training.epoch import Epoch
from secateur.training.loop import Loop
from secateur.training.slim import slim
from secateur.training_settings import TrainingSpec

SPEC = TrainingSpec(optimizer="sgd", learning_rate=0.05, batch_size=8)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 3)
    )


def total(scales: dict[str, torch.Tensor]) -> float:
    return sum(float(scale.abs().sum()) for scale in scales.values())


def test_the_penalty_drives_the_scales_down(data: ImageData) -> None:
    model = net()
    images = data.normalise(data.train.images)
    start = total(dict(insert_norms(copy.deepcopy(model), images).statistics().scales))
    ends = [
        total(dict(slim(model, data, SPEC, epochs=6, penalty=penalty, device="cpu")[0].scales))
        for penalty in (0.0, 0.01, 0.1)
    ]
    assert ends[2] < ends[1] < ends[0]
    assert ends[2] < 0.5 * start


def test_the_model_is_left_as_it_is(data: ImageData) -> None:
    model = net()
    before = copy.deepcopy(model.state_dict())
    names = [name for name, _ in model.named_modules()]
    slim(model, data, SPEC, epochs=1, penalty=0.01, device="cpu")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [name for name, _ in model.named_modules()] == names
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_one_scale_a_filter_by_weight_name(data: ImageData) -> None:
    statistics, curve = slim(net(), data, SPEC, epochs=2, penalty=0.01, device="cpu")
    assert {name: len(s) for name, s in statistics.scales.items()} == {"0.weight": 6, "2.weight": 4}
    assert not any(scale.requires_grad for scale in statistics.scales.values())
    assert [entry.epoch for entry in curve] == [1, 2]


def test_the_same_seed_gives_the_same_bits(data: ImageData) -> None:
    runs = [
        slim(net(), data, SPEC, epochs=2, penalty=0.01, seed=seed, device="cpu")
        for seed in (1, 1, 2)
    ]
    scales = [torch.cat(list(statistics.scales.values())) for statistics, _ in runs]
    assert torch.equal(scales[0], scales[1])
    assert runs[0][1] == runs[1][1]
    assert not torch.equal(scales[0], scales[2])


def test_existing_norms_lend_their_scales(data: ImageData) -> None:
    torch.manual_seed(0)
    model = models.build("resnet20", data.shape, data.classes)
    seen: list[Epoch] = []
    statistics, _ = slim(
        model, data, SPEC, epochs=1, penalty=0.01, device="cpu", on_epoch=seen.append
    )
    assert len(statistics.scales) == 19
    assert all((scale != 1).any() for scale in statistics.scales.values()), "all were trained"
    assert (model.norm.weight == 1).all()
    assert [entry.epoch for entry in seen] == [1]


def test_a_run_that_diverges_says_so(data: ImageData) -> None:
    wild = TrainingSpec(optimizer="sgd", learning_rate=1e30, batch_size=8)
    with pytest.raises(TrainingError):
        slim(net(), data, wild, epochs=1, penalty=0.01, device="cpu")


@pytest.mark.parametrize("given", [None, [(torch.zeros(2, 3, 8, 8), torch.zeros(2))]])
def test_data_that_are_no_images_are_refused(given: object) -> None:
    with pytest.raises(DataError, match=r"sparsity training: the data is a .*from_dataset"):
        slim(net(), given, SPEC, epochs=1, penalty=0.1)  # type: ignore[arg-type]


def test_a_network_without_a_convolution_is_refused(data: ImageData) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with pytest.raises(ModelError, match="no convolution takes part"):
        slim(model, data, SPEC, epochs=1, penalty=0.1)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.last = nn.Conv1d(1, 4, 3), nn.Conv1d(1, 4, 3), nn.Linear(8, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        found: Tensor = self.last(torch.cat([self.a(x).mean(2), self.b(y).mean(2)], 1))
        return found


def test_several_inputs_of_another_task() -> None:
    x, y = torch.randn(30, 1, 8), torch.randn(30, 1, 8)
    parts = {"train": slice(0, 20), "val": slice(20, 25), "test": slice(25, 30)}
    data = secateur.data.from_tensors(
        "two", **{name: ((x[rows], y[rows]), x[rows].mean((1, 2))) for name, rows in parts.items()}
    )
    statistics, curve = slim(
        Two(), data, epochs=1, penalty=0.01, device="cpu", loop=Loop(Regression())
    )
    assert {name: len(scale) for name, scale in statistics.scales.items()} == {
        "a.weight": 4, "b.weight": 4,
    }  # fmt: skip
    assert curve[0].metric == "rmse"
