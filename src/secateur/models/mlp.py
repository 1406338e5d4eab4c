"""The multilayer perceptron of network slimming, written as convolutions."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from secateur.models.shape import Shape, check_shape


def mlp_500_300(shape: Shape = (1, 28, 28), classes: int = 10) -> nn.Module:
    """Build the 784-500-300-10 perceptron of Liu et al. 2017 (arXiv 1708.06519, table 3).

    Each hidden neuron is a filter: the first layer's as large as the image, the second's of one
    pixel. That is the same function of the same weights as a dense layer, and a batch norm behind
    it gives every neuron a scale, as slimming needs it.

    Args:
        shape: Channels, height, width; any.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 546,610 parameters for 1x28x28 and
        10 classes.

    Raises:
        ModelError: The shape is not three positive integers.

    Example:
        >>> sum(parameter.numel() for parameter in mlp_500_300().parameters())
        546610
    """
    check_shape("mlp-500-300", shape, classes)
    channels, height, width = shape
    return nn.Sequential(
        OrderedDict(
            dense1=nn.Conv2d(channels, 500, (height, width), bias=False),
            norm1=nn.BatchNorm2d(500),
            relu1=nn.ReLU(inplace=True),
            dense2=nn.Conv2d(500, 300, 1, bias=False),
            norm2=nn.BatchNorm2d(300),
            relu2=nn.ReLU(inplace=True),
            flatten=nn.Flatten(),
            classifier=nn.Linear(300, classes),
        )
    )
