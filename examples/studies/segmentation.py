"""The net and the data of segmentation.toml."""

import torch
from garments import pictures
from torch import nn

from secateur.data import from_tensors

BACKGROUND = 10


def data(train=1200, val=200, test=200):
    """Pictures of two garments; each pixel is the class of its garment, or the background."""
    counts = {"train": train, "val": val, "test": test}
    splits = {split: masked(split, count) for split, count in counts.items()}
    return from_tensors("garments", classes=11, **splits)


def masked(split, count):
    """Pictures and their masks."""
    images, classes = pictures(split, count, seed=0)
    names = classes.repeat_interleave(28, dim=1)[:, None].expand(-1, 28, -1)
    return images, torch.where(images[:, 0] > 0.1, names, BACKGROUND)


class Net(nn.Module):
    """An encoder, a decoder, and one path from the first to the second."""

    def __init__(self, classes, width=16):
        super().__init__()
        self.down1 = block(1, width)
        self.down2 = block(width, 2 * width)
        self.bottom = block(2 * width, 4 * width)
        self.up = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.last = block(3 * width, width)
        self.scores = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        """From `[B, 1, 28, 56]` to `[B, classes, 28, 56]`."""
        first = self.down1(x)
        second = self.down2(nn.functional.max_pool2d(first, 2))
        deep = self.up(self.bottom(nn.functional.max_pool2d(second, 2)))
        wide = nn.functional.interpolate(deep, scale_factor=2.0)
        return self.scores(self.last(torch.cat([wide, first], 1)))


def block(inputs, outputs):
    """A convolution, a norm and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def net(classes):
    """The net of the study."""
    return Net(classes)
