"""`SparseLinear`."""

from __future__ import annotations

from torch import Tensor, nn

from secateur.runtime.layers.functional import sparse_linear
from secateur.runtime.layers.layer import SparseLayer
from secateur.runtime.layers.operators import sparse_linear_op


class SparseLinear(SparseLayer):
    """A linear layer that computes with the non-zero weights only, in fp32 on the CPU.

    Args:
        dense: The layer to take over. It is not changed, and shares nothing.

    Example:
        >>> import torch
        >>> dense = nn.Linear(8, 4)
        >>> _ = dense.weight.data.mul_(torch.rand(4, 8) > 0.9)
        >>> layer = SparseLinear(dense)
        >>> torch.allclose(layer(torch.ones(2, 8)), dense(torch.ones(2, 8)), atol=1e-6)
        True
    """

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__(dense.weight, dense.bias)
        self.in_features = dense.in_features
        self.out_features = dense.out_features

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """From `[..., in]` to `[..., out]`.

        Raises:
            KernelError: Another dtype, device or shape.
        """
        run = sparse_linear_op if self._traced(input) else sparse_linear
        output: Tensor = run(input, self.values, self.positions, self.bias, self.size, False)
        return output

    def to_dense(self) -> nn.Linear:
        """The same layer, dense again."""
        dense = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        dense.weight = nn.Parameter(self.weight.detach(), self.values.requires_grad)
        if self.bias is not None:
            dense.bias = nn.Parameter(self.bias.detach().clone(), self.bias.requires_grad)
        return dense.train(self.training)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, {self._words()}"
        )
