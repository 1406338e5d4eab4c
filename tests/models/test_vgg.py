import pytest
import torch
from torch import nn

from secateur.errors import ModelError
from secateur.models.vgg import vgg16_bn, vgg19_bn


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def convolutions(net: nn.Module) -> list[nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


def test_vgg19_bn_has_the_20_04_m_of_the_slimming_paper() -> None:
    net = vgg19_bn((3, 32, 32), 10)
    assert count(net) == 20_035_018
    widths = [conv.out_channels for conv in convolutions(net)]
    assert widths == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8


def test_vgg16_bn() -> None:
    net = vgg16_bn((3, 32, 32), 10)
    assert count(net) == 14_724_042
    widths = [conv.out_channels for conv in convolutions(net)]
    assert widths == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6


def test_a_smaller_image_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"vgg19-bn.*3x16x15, expected at least 3x16x16"):
        vgg19_bn((3, 16, 15), 10)


@pytest.mark.parametrize("size", [16, 32, 40])
def test_any_size_above_runs(size: int) -> None:
    net = vgg16_bn((1, size, size), 3).eval()
    assert net(torch.zeros(1, 1, size, size)).shape == (1, 3)


def test_convolutions_are_kaiming_initialised() -> None:
    torch.manual_seed(0)
    for conv in convolutions(vgg16_bn()):
        fan_out = 9 * conv.out_channels
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
        assert conv.bias is None
