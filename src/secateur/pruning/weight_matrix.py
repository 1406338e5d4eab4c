"""Weight matrix: a weight as rows of what its outputs are computed from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd


@dataclass(frozen=True)
class WeightMatrix:
    """How a layer's weight lies as matrices, one for each group of a convolution.

    Attributes:
        shape: Of the weight.
        groups: How many matrices there are; 1 but of convolutions.
        outputs: Rows of each.
        inputs: Input channels that each row reads.
        kernel: Places of the kernel; each input has so many weights in a row.
        transposed: Whether the outputs lie along the second axis: of transposed convolutions.

    Example:
        >>> conv = nn.Conv2d(6, 4, 3, groups=2)
        >>> layout = WeightMatrix.of(conv, conv.weight.shape)
        >>> layout.groups, layout.outputs, layout.inputs, layout.kernel
        (2, 2, 3, 9)
    """

    shape: torch.Size
    groups: int
    outputs: int
    inputs: int
    kernel: int
    transposed: bool = False

    @classmethod
    def of(cls, module: nn.Module, shape: torch.Size) -> WeightMatrix:
        """The layout of a layer's weight; of what is no convolution all later axes are inputs.

        Args:
            module: The layer.
            shape: Of its weight.
        """
        if not isinstance(module, _ConvNd):
            return cls(shape, 1, shape[0] if shape else 1, math.prod(shape[1:]), 1)
        kernel, groups = math.prod(shape[2:]), module.groups
        if module.transposed:
            return cls(shape, groups, shape[1], shape[0] // groups, kernel, transposed=True)
        return cls(shape, groups, shape[0] // groups, shape[1], kernel)

    @property
    def rows(self) -> int:
        """How many outputs there are."""
        return self.groups * self.outputs

    def of_tensor(self, tensor: Tensor) -> Tensor:
        """What has the weight's elements, as `[groups, outputs, inputs, kernel]`."""
        if self.transposed:
            view = tensor.reshape(self.groups, self.inputs, self.outputs, self.kernel)
            return view.transpose(1, 2)
        return tensor.reshape(self.groups, self.outputs, self.inputs, self.kernel)

    def to_tensor(self, matrix: Tensor) -> Tensor:
        """The way back, from the same number of elements in that order to the weight's shape."""
        laid = matrix.reshape(self.groups, self.outputs, self.inputs, self.kernel)
        return (laid.transpose(1, 2) if self.transposed else laid).reshape(self.shape)
