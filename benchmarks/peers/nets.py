"""A residual net that every peer can trace: its shortcuts are convolutions, not padding."""

from __future__ import annotations

from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, around them a 1x1 where the shape changes."""

    def __init__(self, width: int, wider: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, wider, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(wider)
        self.conv2 = nn.Conv2d(wider, wider, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(wider)
        same = width == wider and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(
                nn.Conv2d(width, wider, 1, stride, bias=False), nn.BatchNorm2d(wider)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        inside = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(inside)) + self.shortcut(x)).relu()


class ResNet8(nn.Module):
    """A stem, three blocks of 16, 32 and 64 channels, a classifier."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        before = (WIDTHS[0], *WIDTHS[:-1])
        self.blocks = nn.Sequential(
            *(Block(a, b, 1 if a == b else 2) for a, b in zip(before, WIDTHS, strict=True))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.norm(self.stem(x)).relu())
        return self.classifier(self.pool(x).flatten(1))


def resnet8(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """From `[N, *shape]` to `[N, classes]`; 77,717 parameters for 3x16x16 and 5 classes."""
    return ResNet8(shape[0], classes)
