"""ResNet-20 and ResNet-56 for CIFAR, as in section 4.2 of the paper that introduced them.

He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (CVPR 2016).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from secateur.models.shape import Shape, check_shape

_WIDTHS = (16, 32, 64)


def resnet20(shape: Shape = (3, 32, 32), classes: int = 10) -> nn.Module:
    """Build ResNet-20: three stages of three residual blocks, 16, 32 and 64 channels wide.

    Args:
        shape: Channels, height, width; any height and width.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 269,722 parameters for 3x32x32 and
        10 classes.

    Raises:
        ModelError: The shape is not three positive integers.

    Example:
        >>> sum(parameter.numel() for parameter in resnet20().parameters())
        269722
    """
    return _resnet("resnet20", 3, shape, classes)


def resnet56(shape: Shape = (3, 32, 32), classes: int = 10) -> nn.Module:
    """Build ResNet-56: three stages of nine residual blocks, 16, 32 and 64 channels wide.

    Args:
        shape: Channels, height, width; any height and width.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 853,018 parameters for 3x32x32 and
        10 classes.

    Raises:
        ModelError: The shape is not three positive integers.

    Example:
        >>> sum(parameter.numel() for parameter in resnet56().parameters())
        853018
    """
    return _resnet("resnet56", 9, shape, classes)


class PaddedShortcut(nn.Module):
    """Option A, the shortcut without parameters: every second pixel, and channels of zeros.

    Args:
        zeros: How many channels of zeros are appended to the input's.
    """

    def __init__(self, zeros: int) -> None:
        super().__init__()
        self.zeros = zeros

    def forward(self, x: Tensor) -> Tensor:
        """From `[N, C, H, W]` to `[N, C + zeros, ceil(H / 2), ceil(W / 2)]`."""
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.zeros))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them.

    Args:
        width: Channels of the input.
        next_width: Channels of the output; where there are more, the image is halved.
    """

    def __init__(self, width: int, next_width: int) -> None:
        super().__init__()
        widens = next_width > width
        self.conv1 = _convolution(width, next_width, stride=2 if widens else 1)
        self.norm1 = nn.BatchNorm2d(next_width)
        self.conv2 = _convolution(next_width, next_width)
        self.norm2 = nn.BatchNorm2d(next_width)
        self.shortcut = PaddedShortcut(next_width - width) if widens else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """From `[N, width, H, W]` to `[N, next_width, H', W']`."""
        inside = functional.relu(self.norm1(self.conv1(x)))
        inside = self.norm2(self.conv2(inside))
        return functional.relu(inside + self.shortcut(x))


def _resnet(name: str, blocks: int, shape: Shape, classes: int) -> nn.Module:
    check_shape(name, shape, classes)
    width = _WIDTHS[0]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = _convolution(shape[0], width)
    layers["norm"] = nn.BatchNorm2d(width)
    layers["relu"] = nn.ReLU(inplace=True)
    for stage, next_width in enumerate(_WIDTHS, start=1):
        for index in range(1, blocks + 1):
            layers[f"block{stage}_{index}"] = ResidualBlock(width, next_width)
            width = next_width
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(width, classes)
    return nn.Sequential(layers)


def _convolution(width: int, next_width: int, stride: int = 1) -> nn.Conv2d:
    """A padded 3x3 convolution, initialised after He et al. (ICCV 2015); no bias before a norm."""
    convolution = nn.Conv2d(width, next_width, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
