"""Conv-4: four convolutions and two dense layers, the net of the original study."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from secateur.models.shape import Shape, check_shape


def conv4(shape: Shape = (3, 25, 25), classes: int = 5) -> nn.Module:
    """Build Conv-4: two blocks of two 3x3 convolutions, then 512 neurons.

    The first convolution of each block is padded and the second is not. There is no batch norm;
    dropout follows each pooling (0.25) and the hidden dense layer (0.5). It is the CIFAR-10
    example net of Keras, and near the Conv-4 of Frankle and Carbin, "The lottery ticket
    hypothesis" (ICLR 2019), which is wider.

    Args:
        shape: Channels, height, width; at least 10 high and wide.
        classes: How many outputs.

    Returns:
        A net from `[N, *shape]` to logits `[N, classes]`; 592,933 parameters for 3x25x25 and
        5 classes, 65,568 of them in the convolutions.

    Raises:
        ModelError: The images are too small.

    Example:
        >>> sum(parameter.numel() for parameter in conv4().parameters())
        592933
    """
    check_shape("conv4", shape, classes, smallest=10)
    channels, height, width = shape
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 32, 3, padding=1),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(32, 32, 3),
            relu2=nn.ReLU(inplace=True),
            pool1=nn.MaxPool2d(2),
            dropout1=nn.Dropout(0.25),
            conv3=nn.Conv2d(32, 64, 3, padding=1),
            relu3=nn.ReLU(inplace=True),
            conv4=nn.Conv2d(64, 64, 3),
            relu4=nn.ReLU(inplace=True),
            pool2=nn.MaxPool2d(2),
            dropout2=nn.Dropout(0.25),
            flatten=nn.Flatten(),
            dense=nn.Linear(64 * _after_blocks(height) * _after_blocks(width), 512),
            relu5=nn.ReLU(inplace=True),
            dropout3=nn.Dropout(0.5),
            classifier=nn.Linear(512, classes),
        )
    )


def _after_blocks(length: int) -> int:
    """The height or width that two blocks leave: each loses a border of 1, then halves."""
    for _ in range(2):
        length = (length - 2) // 2
    return length
