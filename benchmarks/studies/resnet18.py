"""The net of resnet18.toml: ResNet-18 for small images, narrow enough for one core."""

from __future__ import annotations

from torch import Tensor, nn

BLOCKS = (2, 2, 2, 2)


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, around them a 1x1 where the shape changes."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        inside = self.bn1(self.conv1(x)).relu()
        around = x if self.downsample is None else self.downsample(x)
        return (self.bn2(self.conv2(inside)) + around).relu()


class ResNet18(nn.Module):
    """Four stages of two blocks, as He et al. 2016 (arXiv 1512.03385) have them, table 1.

    The stem is a 3x3 convolution of stride 2 instead of 7x7 and pooling, as the images are small.
    """

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages: list[nn.Module] = []
        before = width
        for number, count in enumerate(BLOCKS):
            own = width * 2**number
            strides = [1 if number == 0 else 2, *[1] * (count - 1)]
            blocks = [Block(before if i == 0 else own, own, s) for i, s in enumerate(strides)]
            stages.append(nn.Sequential(*blocks))
            before = own
        self.stages = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.bn1(self.conv1(x)).relu())
        return self.fc(self.avgpool(x).flatten(1))


def net(shape: tuple[int, int, int], classes: int, width: int = 16) -> ResNet18:
    """From `[N, *shape]` to `[N, classes]`; at width 64 the whole ResNet-18."""
    return ResNet18(shape[0], classes, width)
