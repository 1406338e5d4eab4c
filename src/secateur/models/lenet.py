"""The two LeNets of the pruning literature (LeCun et al., Proc. IEEE 86(11), 1998)."""

from __future__ import annotations

from collections import OrderedDict
from math import prod

from torch import nn

from secateur.models.shape import Shape, check_shape


def lenet_300_100(shape: Shape = (1, 28, 28), classes: int = 10) -> nn.Module:
    """Build LeNet-300-100: two hidden dense layers, of 300 and 100 neurons.

    ReLU stands where the paper has tanh, as in Han et al., "Learning both weights and
    connections" (NeurIPS 2015).

    Args:
        shape: Channels, height, width; any.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 266,610 parameters for 1x28x28 and
        10 classes.

    Raises:
        ModelError: The shape is not three positive integers.

    Example:
        >>> sum(parameter.numel() for parameter in lenet_300_100().parameters())
        266610
    """
    check_shape("lenet-300-100", shape, classes)
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            dense1=nn.Linear(prod(shape), 300),
            relu1=nn.ReLU(inplace=True),
            dense2=nn.Linear(300, 100),
            relu2=nn.ReLU(inplace=True),
            classifier=nn.Linear(100, classes),
        )
    )


def lenet_5(shape: Shape = (1, 28, 28), classes: int = 10) -> nn.Module:
    """Build LeNet-5 in the widths of Caffe's example: 20 and 50 filters, 500 neurons.

    The convolutions are 5x5 without padding, each followed by ReLU and a max-pool of 2. (Caffe's
    own has no ReLU after them; the pruning papers that use its widths do.)

    Args:
        shape: Channels, height, width; at least 16 high and wide.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 431,080 parameters for 1x28x28 and
        10 classes.

    Raises:
        ModelError: The images are too small.

    Example:
        >>> sum(parameter.numel() for parameter in lenet_5().parameters())
        431080
    """
    check_shape("lenet-5", shape, classes, smallest=16)
    channels, height, width = shape
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 20, 5),
            relu1=nn.ReLU(inplace=True),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            relu2=nn.ReLU(inplace=True),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            dense=nn.Linear(50 * _after_convs(height) * _after_convs(width), 500),
            relu3=nn.ReLU(inplace=True),
            classifier=nn.Linear(500, classes),
        )
    )


def _after_convs(length: int) -> int:
    """The height or width that is left: each 5x5 convolution takes 4, each pooling half."""
    for _ in range(2):
        length = (length - 4) // 2
    return length
