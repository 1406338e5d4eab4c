"""VGG for small images, with batch norm and a single dense layer.

Simonyan and Zisserman, "Very deep convolutional networks" (ICLR 2015), in the form for CIFAR of
Liu et al., "Learning efficient convolutional networks through network slimming" (ICCV 2017).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from secateur.models.shape import Shape, check_shape

# Widths of the convolutions, stage by stage; a max-pool of 2 stands between two stages.
_VGG16 = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
_VGG19 = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)


def vgg16_bn(shape: Shape = (3, 32, 32), classes: int = 10) -> nn.Module:
    """Build VGG-16 for 32x32: 13 convolutions with batch norm, then the classifier.

    Args:
        shape: Channels, height, width; at least 16 high and wide.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 14,724,042 parameters for 3x32x32 and
        10 classes.

    Raises:
        ModelError: The images are too small.

    Example:
        >>> sum(parameter.numel() for parameter in vgg16_bn().parameters())
        14724042
    """
    return _vgg("vgg16-bn", _VGG16, shape, classes)


def vgg19_bn(shape: Shape = (3, 32, 32), classes: int = 10) -> nn.Module:
    """Build VGG-19 for 32x32: 16 convolutions with batch norm, then the classifier.

    Args:
        shape: Channels, height, width; at least 16 high and wide.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 20,035,018 parameters for 3x32x32 and
        10 classes.

    Raises:
        ModelError: The images are too small.

    Example:
        >>> sum(parameter.numel() for parameter in vgg19_bn().parameters())
        20035018
    """
    return _vgg("vgg19-bn", _VGG19, shape, classes)


def _vgg(name: str, stages: tuple[tuple[int, ...], ...], shape: Shape, classes: int) -> nn.Module:
    check_shape(name, shape, classes, smallest=2 ** (len(stages) - 1))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = shape[0]
    for stage, widths in enumerate(stages, start=1):
        if stage > 1:
            layers[f"pool{stage - 1}"] = nn.MaxPool2d(2)
        for index, next_width in enumerate(widths, start=1):
            layers[f"conv{stage}_{index}"] = _convolution(width, next_width)
            layers[f"norm{stage}_{index}"] = nn.BatchNorm2d(next_width)
            layers[f"relu{stage}_{index}"] = nn.ReLU(inplace=True)
            width = next_width
    # The mean over what is left (2x2 for 32x32) makes the classifier fit images of any size.
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(width, classes)
    return nn.Sequential(layers)


def _convolution(width: int, next_width: int) -> nn.Conv2d:
    """A padded 3x3 convolution; without a bias, which the batch norm would take out again."""
    convolution = nn.Conv2d(width, next_width, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
