from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import secateur
from secateur.errors import KernelError, MaskError
from secateur.models import build
from secateur.pruning.masks import Masks
from secateur.runtime.kernels import kernels
from secateur.runtime.layers.batchlast import is_batch_last
from secateur.runtime.layers.retraining import sparse_retraining
from secateur.training.dropout import byte_dropout

pytestmark = [
    pytest.mark.skipif(not kernels.available(), reason=kernels.why_not()),
    pytest.mark.usefixtures("each_isa"),
]


def masked(model: nn.Module, share: float = 0.9) -> Masks:
    masks = {
        name: torch.rand_like(parameter) >= share
        for name, parameter in model.named_parameters()
        if parameter.dim() > 1
    }
    return Masks(masks).apply(model)


def grads(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def smooth(net: nn.Module) -> nn.Module:
    """Without kinks, where rounding decides which of two gradients is the right one."""
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.Softplus())
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride))
            if isinstance(child, nn.Dropout):
                setattr(parent, name, nn.Identity())
    return net


class Residual(nn.Module):
    """Strides, batch norm, a shortcut, and a mean over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(16, 32, 1, stride=2)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x)))
        x = torch.tanh(self.second(x) + self.shortcut(x))
        return self.head(x.mean((2, 3)))


NETS = {
    "conv4": lambda: build("conv4", (3, 16, 16), 5),
    "lenet-5": lambda: build("lenet-5", (3, 16, 16), 5),
    "residual": Residual,
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("batch", [16, 5])
def test_a_net_has_the_gradients_of_the_dense_one(name: str, batch: int) -> None:
    net = smooth(NETS[name]())
    masks, x = masked(net, 0.7), torch.randn(batch, 3, 16, 16)
    exact = copy.deepcopy(net).double()
    exact(x.double()).square().mean().backward()
    with sparse_retraining(net, masks) as layers:
        net(x).square().mean().backward()
    assert set(layers) == {key.removesuffix(".weight") for key in masks}
    for key, want in grads(exact).items():
        want = want * masks[key] if key in masks else want
        got = grads(net)[key]
        atol = 1e-4 * max(want.abs().max().item(), 1e-4)
        torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=atol)
        assert key not in masks or not got[~masks[key]].any()


def test_steps_stay_with_the_dense_ones_and_the_zeros_stay_zero() -> None:
    net = build("conv4", (3, 14, 14), 5).to(memory_format=torch.channels_last)
    masks = masked(net)
    other = copy.deepcopy(net)
    images, labels = torch.randn(20, 3, 14, 14), torch.randint(5, (20,))

    def train(model: nn.Module) -> list[float]:
        losses = []
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-3)
        with masks.freeze(optimizer, model), byte_dropout(model.eval()):
            for _ in range(5):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        return losses

    dense = train(net)
    with sparse_retraining(other, masks):
        assert train(other) == pytest.approx(dense, rel=1e-4)
    assert dense[-1] < dense[0]
    for name, parameter in other.named_parameters():
        torch.testing.assert_close(parameter, dict(net.named_parameters())[name], atol=1e-4, rtol=0)
        if name in masks:
            assert not parameter[~masks[name]].any()


def test_activations_stay_batch_last_through_a_whole_block() -> None:
    net = build("conv4", (3, 14, 14), 5)
    seen = []
    for module in net:  # type: ignore[attr-defined]
        if not isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda _, __, output: seen.append(is_batch_last(output)))
    with sparse_retraining(net, masked(net)), byte_dropout(net):
        net(torch.randn(16, 3, 14, 14)).sum().backward()
    assert all(seen)
    assert len(seen) == 14


def fail_within(net: nn.Module, masks: Masks) -> None:
    with sparse_retraining(net, masks):
        assert "forward" in vars(net.conv1)
        assert "forward" in vars(net.pool1)
        raise ZeroDivisionError


def test_the_layers_are_given_back_even_after_an_error() -> None:
    net = build("conv4", (3, 14, 14), 5)
    with pytest.raises(ZeroDivisionError):
        fail_within(net, masked(net))
    assert not any("forward" in vars(module) for module in net.modules())


def test_evaluation_is_torchs_to_the_bit() -> None:
    net = build("conv4", (3, 14, 14), 5).eval()
    x = torch.randn(8, 3, 14, 14)
    with torch.inference_mode():
        want = net(x)
        with sparse_retraining(net, masked(net, share=0.0), sparsity=0):
            assert torch.equal(net(x), want)


def taken(shares: tuple[float, ...], **options: float) -> tuple[str, ...]:
    """The layers that are taken of a small convolution, two large ones, and a linear layer."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 64, 3), nn.Conv2d(64, 64, 3), nn.Linear(30, 10)
    )
    masks = {}
    for i, (layer, share) in enumerate(zip(net, shares, strict=True)):
        number = torch.arange(layer.weight.numel()).view_as(layer.weight)
        masks[f"{i}.weight"] = number >= share * layer.weight.numel()
    with sparse_retraining(net, Masks(masks), **options) as layers:
        return layers


def test_layers_are_taken_from_the_share_on_and_small_ones_where_all_others_are() -> None:
    assert taken((0.1, 0.7, 0.8, 0.1)) == ("0", "1", "2")
    assert taken((0.1, 0.2, 0.8, 0.7)) == ("2", "3")
    assert taken((0.9, 0.2, 0.3, 0.1)) == ("0",)
    assert taken((0.1, 0.7, 0.8, 0.1), sparsity=0.9) == ()
    assert taken((0.1, 0.2, 0.3, 0.0), sparsity=0) == ("0", "1", "2", "3")


def test_what_the_kernels_cannot_do_is_left_alone() -> None:
    class Own(nn.Linear):
        pass

    net = nn.ModuleDict(
        {
            "groups": nn.Conv2d(4, 4, 3, groups=2),
            "circular": nn.Conv2d(4, 4, 3, padding_mode="circular"),
            "wide": nn.Linear(4, 4, dtype=torch.float64),
            "own": Own(4, 4),
            "norm": nn.BatchNorm2d(4),
            "changed": parametrize.register_parametrization(nn.Linear(4, 4), "bias", nn.Identity()),
            "unmasked": nn.Linear(4, 4),
        }
    )
    names = [f"{name}.weight" for name in net if name not in ("norm", "unmasked")]
    parameters = dict(net.named_parameters())
    masks = Masks({name: torch.zeros_like(parameters[name], dtype=torch.bool) for name in names})
    with sparse_retraining(net, masks) as layers:
        assert layers == ()


@pytest.mark.parametrize("shape", [(4, 6), (2, 5, 6), (6,), (0, 6), (2, 0, 6)])
def test_linear_layers_take_any_leading_axes(shape: tuple[int, ...]) -> None:
    layer, x = nn.Linear(6, 4), torch.randn(shape, requires_grad=True)
    masks = masked(layer)
    want = layer(x)
    (gradient,) = torch.autograd.grad(want.sum(), x)
    with sparse_retraining(layer, masks):
        got = layer(x)
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(torch.autograd.grad(got.sum(), x)[0], gradient)


@pytest.mark.parametrize("padding", ["same", "valid", 2])
def test_every_padding_and_images_of_several_sizes(padding: str | int) -> None:
    layer = nn.Conv2d(3, 4, (3, 2), padding=padding, dilation=(1, 2))
    masks = masked(layer, 0.5)
    for size in ((2, 3, 9, 9), (2, 3, 6, 7), (2, 3, 9, 9)):
        x = torch.randn(size)
        want = layer(x)
        with sparse_retraining(layer, masks, sparsity=0):
            torch.testing.assert_close(layer(x), want)


def test_what_does_not_fit_is_torchs_error() -> None:
    layer = nn.Conv2d(3, 4, 5)
    masks = masked(layer)
    with sparse_retraining(layer, masks):
        with pytest.raises(RuntimeError, match="Kernel size"):
            layer(torch.randn(2, 3, 4, 4))
        with pytest.raises(RuntimeError, match="channels"):
            layer(torch.randn(2, 2, 8, 8))
        with pytest.raises(RuntimeError, match="type"):
            layer(torch.randn(2, 3, 8, 8).double())
        assert layer(torch.randn(3, 8, 8)).shape == (4, 4, 4)  # one image is the dense layer's


def test_a_weight_of_two_layers_gathers_both_gradients() -> None:
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    net, x = nn.Sequential(first, second), torch.randn(8, 6)
    mask = torch.rand(6, 6) > 0.7
    masks = Masks({"0.weight": mask, "1.weight": mask}).apply(net)
    net(x).sum().backward()
    want = grads(net)["0.weight"] * mask
    net.zero_grad()
    with sparse_retraining(net, masks, sparsity=0) as layers:
        net(x).sum().backward()
    assert layers == ("0", "1")
    torch.testing.assert_close(grads(net)["0.weight"], want)


def test_a_share_that_is_none_and_masks_of_another_net_are_refused() -> None:
    net = nn.Linear(3, 3)
    with (
        pytest.raises(KernelError, match="sparsity"),
        sparse_retraining(net, Masks({}), sparsity=9),
    ):
        pass
    strange = Masks({"weight": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(MaskError), sparse_retraining(net, strange):
        pass


def test_without_kernels_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Linear(3, 3)
    masks = masked(net)
    monkeypatch.setattr(kernels, "available", lambda: False)
    with sparse_retraining(net, masks) as layers:
        assert layers == ()
        assert "forward" not in vars(net)


@pytest.mark.skipif(not kernels.available(), reason="no native kernels here")
@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda net: pickle.loads(pickle.dumps(net)),
        lambda net: torch.optim.swa_utils.AveragedModel(net).module,
    ],
    ids=["deepcopy", "pickle", "averaged"],
)
def test_copies_made_on_the_way_are_plain_networks(copied) -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)), torch.randn(8, 64)
    masks = secateur.prune(net, "magnitude", sparsity=0.9, ranking="layer")
    with secateur.sparse_retraining(net, masks) as taken:
        assert taken
        best = copied(net)
    assert "forward" not in vars(best[0])
    assert not {"forward", "__deepcopy__", "__reduce_ex__"} & vars(net[0]).keys()
    best.load_state_dict(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)).state_dict())
    best(x).sum().backward()
    assert bool((best[0].weight.grad != 0).any(1).sum() > 20)
