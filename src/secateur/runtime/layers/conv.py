"""`SparseConv2d`."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from secateur.errors import KernelError
from secateur.runtime.layers.functional import sparse_conv2d
from secateur.runtime.layers.layer import SparseLayer
from secateur.runtime.layers.operators import sparse_conv2d_op


class SparseConv2d(SparseLayer):
    """A convolution that computes with the non-zero weights only, in fp32 on the CPU.

    Args:
        dense: The layer to take over, of one group and padded with zeros. It is not changed, and
            shares nothing.

    Raises:
        KernelError: It has groups or another padding mode.

    Example:
        >>> import torch
        >>> dense = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        >>> _ = dense.weight.data.mul_(torch.rand(4, 3, 3, 3) > 0.9)
        >>> layer, images = SparseConv2d(dense), torch.ones(2, 3, 9, 9)
        >>> torch.allclose(layer(images), dense(images), atol=1e-6)
        True
    """

    def __init__(self, dense: nn.Conv2d) -> None:
        if dense.groups != 1 or dense.padding_mode != "zeros":
            raise KernelError(
                "SparseConv2d",
                "the layer",
                given=f"groups={dense.groups}, padding_mode={dense.padding_mode!r}",
                expected="groups=1, padding_mode='zeros'",
                remedy="Keep this layer dense.",
            )
        super().__init__(dense.weight, dense.bias)
        self.in_channels = dense.in_channels
        self.out_channels = dense.out_channels
        self.kernel_size = cast("tuple[int, int]", dense.kernel_size)
        self.stride = cast("tuple[int, int]", dense.stride)
        self.padding = cast("str | tuple[int, int]", dense.padding)
        self.dilation = cast("tuple[int, int]", dense.dilation)

    def _sides(self) -> list[int]:
        """The padding on top, below, left, right."""
        if isinstance(self.padding, str):
            if self.padding == "valid":
                return [0, 0, 0, 0]
            totals = [
                reach * (kernel - 1)
                for reach, kernel in zip(self.dilation, self.kernel_size, strict=True)
            ]
            return [side for total in totals for side in (total // 2, total - total // 2)]
        height, width = self.padding
        return [height, height, width, width]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """From `[batch, in, height, width]`, or without `batch`, to the same with `out`.

        Raises:
            KernelError: Another dtype, device or shape.
        """
        images = input.unsqueeze(0) if input.dim() == 3 else input
        run = sparse_conv2d_op if self._traced(images) else sparse_conv2d
        output: Tensor = run(
            images,
            self.values,
            self.positions,
            self.bias,
            self.size,
            list(self.stride),
            self._sides(),
            list(self.dilation),
            False,
        )
        return output.squeeze(0) if input.dim() == 3 else output

    def to_dense(self) -> nn.Conv2d:
        """The same layer, dense again."""
        dense = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            bias=self.bias is not None,
        )
        dense.weight = nn.Parameter(self.weight.detach(), self.values.requires_grad)
        if self.bias is not None:
            dense.bias = nn.Parameter(self.bias.detach().clone(), self.bias.requires_grad)
        return dense.train(self.training)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"bias={self.bias is not None}, {self._words()}"
        )
