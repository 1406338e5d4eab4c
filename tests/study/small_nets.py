"""Nets that a study of a test trains in a moment."""

from torch import Tensor, nn


def one_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Two convolutions, the first with a batch norm behind it."""
    return _net(shape, classes, nn.Identity())


def two_norms(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Two convolutions, each with a batch norm behind it."""
    return _net(shape, classes, nn.BatchNorm2d(8))


def _net(shape: tuple[int, int, int], classes: int, second: nn.Module) -> nn.Module:
    layers = [
        nn.Conv2d(shape[0], 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        second,
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    ]
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.Identity)))


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.norm(self.conv(x))).relu()


def three_blocks(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A convolution, three residual blocks of one convolution each, and a classifier."""
    blocks = [_Block() for _ in range(3)]
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(nn.Conv2d(shape[0], 8, 3), nn.ReLU(), *blocks, *last)
