"""What the sparse modules have in common: their weight, and how it is saved and loaded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from secateur.runtime.kernels import kernels
from secateur.runtime.layers.weights import compress, restore


class SparseLayer(nn.Module):
    """A layer whose weight is kept as `values` and `positions`.

    The state dict holds these two and `bias`; loading takes them, or a dense `weight`, whose
    zeros are dropped. The positions are frozen: training changes only what is left.
    """

    values: nn.Parameter
    positions: Tensor
    bias: nn.Parameter | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.size = list(weight.shape)
        values, positions = compress(weight)
        self.values = nn.Parameter(values, requires_grad=weight.requires_grad)
        self.register_buffer("positions", positions)
        if bias is None:
            self.register_parameter("bias", None)
        else:
            self.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)

    @property
    def weight(self) -> Tensor:
        """The dense weight, made anew each time."""
        return restore(self.values, self.positions, self.size)

    @property
    def sparsity(self) -> float:
        """The share of the dense weight that is zero."""
        count = torch.Size(self.size).numel()
        return 1.0 - self.values.numel() / count if count else 0.0

    def _traced(self, input: Tensor) -> bool:  # noqa: A002
        """Whether torch has to see an operator. It takes longer to call than a small layer runs."""
        if torch.compiler.is_compiling() or type(input) is not Tensor:
            return True
        learning = input.requires_grad or self.values.requires_grad
        return torch.is_grad_enabled() and learning

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        weight = state_dict.get(f"{prefix}weight")
        if isinstance(weight, Tensor) and list(weight.shape) == self.size:
            values, positions = compress(weight)
            del state_dict[f"{prefix}weight"]
            state_dict[f"{prefix}values"] = values
            state_dict[f"{prefix}positions"] = positions
        values = state_dict.get(f"{prefix}values", self.values)
        if values.shape != self.values.shape:
            trained = self.values.requires_grad
            self.values = nn.Parameter(self.values.new_empty(values.shape), requires_grad=trained)
            self.positions = self.positions.new_empty(values.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _words(self) -> str:
        engine = kernels.isa() if kernels.available() else "torch, no native kernels"
        return f"sparsity={self.sparsity:.4f}, engine={engine}"
