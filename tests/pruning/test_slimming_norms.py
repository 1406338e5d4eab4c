from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.pruning.slimming_norms import insert_norms, norm_scales


def largest_relative_difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize(
    ("net", "shape"),
    [("conv4", (3, 12, 12)), ("lenet-5", (1, 28, 28)), ("resnet20", (3, 8, 8))],
)
def test_the_function_is_unchanged_at_the_moment_of_insertion(
    net: str, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    model = models.build(net, shape, 5).eval()
    seen, unseen = torch.randn(32, *shape), 3 * torch.randn(8, *shape) + 1
    with torch.no_grad():
        before = model(unseen)
        insert_norms(model, seen)
        assert largest_relative_difference(model(unseen), before) < 1e-5


def test_each_convolution_without_a_norm_gets_one() -> None:
    model = models.build("conv4", (3, 12, 12), 5)
    instrumented = insert_norms(model, torch.randn(4, 3, 12, 12))
    assert instrumented.inserted == ("conv1", "conv2", "conv3", "conv4")
    assert list(instrumented.scales) == [f"conv{number}.weight" for number in (1, 2, 3, 4)]
    assert [len(scale) for scale in instrumented.scales.values()] == [32, 32, 64, 64]


def test_existing_norms_are_used_as_they_are() -> None:
    model = models.build("resnet20", (3, 8, 8), 5)
    instrumented = insert_norms(model, torch.randn(4, 3, 8, 8))
    assert instrumented.inserted == ()
    assert instrumented.scales["conv.weight"] is model.norm.weight
    assert instrumented.scales["block2_1.conv2.weight"] is model.block2_1.norm2.weight
    assert len(instrumented.scales) == 19


def test_the_new_norm_undoes_itself_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    nn.init.constant_(model[0].weight, 2.0)
    nn.init.constant_(model[0].bias, 1.0)
    images = torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1)  # the convolution gives 1 and 5
    scale = insert_norms(model, images).scales["0.weight"]
    undone = model[0].slimming_norm
    assert scale.item() == 1.0
    assert scale is undone.norm.weight
    assert undone.norm.running_mean.item() == 3.0
    assert undone.norm.running_var.item() == 4.0
    assert undone.gain.item() == pytest.approx(2.0, rel=1e-5)
    assert undone.norm.bias.item() == pytest.approx(1.5, rel=1e-5)


def test_every_scale_starts_at_1_and_only_scales_and_shifts_are_new_to_train() -> None:
    model = models.build("conv4", (3, 12, 12), 5)
    before = {name for name, _ in model.named_parameters()}
    instrumented = insert_norms(model, torch.randn(8, 3, 12, 12))
    assert all((scale == 1).all() for scale in instrumented.scales.values())
    new = {name.rpartition(".")[2] for name, _ in model.named_parameters() if name not in before}
    assert new == {"weight", "bias"}


def test_a_channel_that_never_varies_keeps_its_value() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1)).eval()
    nn.init.zeros_(model[0].weight)
    images = torch.randn(4, 1, 3, 3)
    before = model(images)
    scales = insert_norms(model, images).scales["0.weight"]
    assert torch.isfinite(scales).all()
    assert torch.allclose(model(images), before)


def test_a_convolution_that_the_pass_never_reaches_gets_none() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.used(x)
            return out

    instrumented = insert_norms(Unused(), torch.randn(2, 1, 3, 3))
    assert instrumented.inserted == ("used",)
    assert list(instrumented.scales) == ["used.weight"]


def test_the_modules_keep_their_names_types_and_flags() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).train()
    before = {name: type(module) for name, module in model.named_modules()}
    insert_norms(model, torch.randn(2, 1, 5, 5))
    after = {name: type(module) for name, module in model.named_modules()}
    assert before.items() <= after.items()
    new = {name for name in after if name not in before}
    assert new == {"0.slimming_norm", "0.slimming_norm.norm"}
    assert all(module.training for module in model.modules())


def test_the_penalty_is_the_l1_norm_and_reaches_the_scales() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([-2.0, 0.5]))
    instrumented = insert_norms(model, torch.randn(4, 1, 3, 3))
    second = instrumented.scales["2.weight"].detach().abs().sum().item()
    instrumented.penalty().backward()
    assert instrumented.penalty().item() == pytest.approx(2.5 + second)
    assert model[1].weight.grad.tolist() == [-1.0, 1.0]
    assert instrumented.scales["2.weight"].grad.tolist() == [1.0]


def test_a_scale_that_convolutions_share_is_penalised_once() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1)
            self.norm = nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.norm(self.one(x)) + self.norm(self.two(x))
            return out

    instrumented = insert_norms(Shared(), torch.randn(2, 1, 3, 3))
    assert set(instrumented.scales) == {"one.weight", "two.weight"}
    assert instrumented.penalty().item() == 2.0


def test_statistics_are_a_copy_of_the_moment() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    instrumented = insert_norms(model, torch.randn(2, 1, 3, 3))
    statistics = instrumented.statistics()
    nn.init.zeros_(model[1].weight)
    assert statistics.scales["0.weight"].tolist() == [1.0, 1.0]


def test_norm_scales_reads_existing_norms_and_changes_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 3, 1))
    nn.init.constant_(model[1].weight, 0.25)
    before = copy.deepcopy(model.state_dict())
    scales = norm_scales(model, torch.randn(2, 1, 3, 3)).scales
    assert {name: scale.tolist() for name, scale in scales.items()} == {"0.weight": [0.25, 0.25]}
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(1, 2, 3), (4, 1, 8)),
        (nn.Conv3d(1, 2, 2), (4, 1, 4, 4, 4)),
        (nn.ConvTranspose2d(1, 2, 2), (4, 1, 4, 4)),
    ],
)
def test_convolutions_of_every_rank(layer: nn.Module, shape: tuple[int, ...]) -> None:
    model = nn.Sequential(layer).eval()
    images = torch.randn(shape)
    with torch.no_grad():
        before = model(images)
        assert insert_norms(model, images).inserted == ("0",)
        assert largest_relative_difference(model(images), before) < 1e-5


class Excited(nn.Module):
    """Two normed convolutions, and two of squeeze-and-excite without a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.n = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.reduce, self.expand, self.fc = (
            nn.Conv2d(16, 4, 1),
            nn.Conv2d(4, 16, 1),
            nn.Linear(16, 4),
        )

    def forward(self, x):
        x = self.n(self.a(x)).relu()
        gate = self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.fc((x * gate).mean((2, 3)))


def test_convolutions_without_a_norm_are_kept_and_the_others_ranked() -> None:
    torch.manual_seed(0)
    net = Excited()
    with torch.no_grad():
        net.n.weight[::2] = 0.01
    masks = secateur.prune(net, "slimming", sparsity=0.3, example_inputs=torch.randn(2, 3, 12, 12))
    assert "reduce.weight" not in masks or bool(masks["reduce.weight"].all())
    gone = ~masks["n.weight"]
    assert gone.any()
    assert not gone[1::2].any()
