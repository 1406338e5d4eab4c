import pytest
import torch
from torch import nn

from secateur.errors import ModelError
from secateur.models.resnet import PaddedShortcut, ResidualBlock, resnet20, resnet56


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def layers(net: nn.Module) -> int:
    return sum(isinstance(module, nn.Conv2d | nn.Linear) for module in net.modules())


def test_parameters_and_depths_are_the_papers() -> None:
    net20, net56 = resnet20(), resnet56()
    assert (count(net20), layers(net20)) == (269_722, 20)
    assert (count(net56), layers(net56)) == (853_018, 56)


def test_padded_shortcut_keeps_every_second_pixel_and_appends_zeros() -> None:
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    y = PaddedShortcut(2)(x)
    assert y.shape == (1, 3, 3, 3)
    assert y[0, 0].tolist() == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    assert not y[0, 1:].any()


def test_block_of_zero_convolutions_is_its_shortcut() -> None:
    block = ResidualBlock(2, 2).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.rand(1, 2, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (4, 7, 9), (1, 1, 1)])
def test_any_shape_runs(shape: tuple[int, int, int]) -> None:
    assert resnet20(shape, 3).eval()(torch.zeros(2, *shape)).shape == (2, 3)


def test_the_image_is_halved_twice() -> None:
    net = resnet20()
    assert isinstance(net, nn.Sequential)
    seen = []
    net.block1_3.register_forward_hook(lambda *args: seen.append(args[2].shape))
    net.block3_3.register_forward_hook(lambda *args: seen.append(args[2].shape))
    net(torch.zeros(2, 3, 32, 32))
    assert seen == [(2, 16, 32, 32), (2, 64, 8, 8)]


def test_no_classes_are_refused() -> None:
    with pytest.raises(ModelError, match=r"resnet56: the number of classes is 0"):
        resnet56((3, 32, 32), 0)


def test_convolutions_are_kaiming_initialised() -> None:
    torch.manual_seed(0)
    for module in resnet20().modules():
        if isinstance(module, nn.Conv2d):
            fan_out = 9 * module.out_channels
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)
            assert module.bias is None
