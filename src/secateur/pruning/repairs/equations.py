"""Equations: sums over rows of inputs and of what is missing in outputs, and the weights they give.

Ridge least squares by its normal equations, in double precision: of X, of one row for each example,
and of what is missing R, the change D of the weights solves (X^T X + ridge) D^T = X^T R.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from secateur.errors import TrainingError

RIDGE = 1e-2
"""The ridge, as a share of the inputs' mean square."""


@dataclass(frozen=True)
class Equations:
    """Equations, with the means taken out where a bias is to take them."""

    gram: Tensor
    cross: Tensor
    mean_input: Tensor
    mean_missing: Tensor

    def solution(self, group: int, outputs: Tensor, columns: Tensor) -> Tensor:
        """The change of the weights in some columns of some outputs."""
        gram = self.gram[group][columns.unsqueeze(1), columns]
        ridge = RIDGE * gram.diagonal().mean()
        gram.diagonal().add_(ridge)
        right = self.cross[group][columns.unsqueeze(1), outputs]
        factor, failed = torch.linalg.cholesky_ex(gram)
        if failed:  # inputs that are constant but for rounding: there is nothing to learn from them
            return torch.zeros_like(right).T
        return torch.cholesky_solve(right, factor).T


@dataclass
class Sums:
    """Sums over rows: `gram` [groups, inputs, inputs], `cross` [groups, inputs, outputs]."""

    gram: Tensor
    cross: Tensor
    inputs: Tensor
    missing: Tensor
    rows: int = 0

    @classmethod
    def zeros(cls, x: Tensor, missing: Tensor) -> Sums:
        """Of no rows yet."""
        (_, groups, inputs), outputs = x.shape, missing.shape[2]
        return cls(
            x.new_zeros(groups, inputs, inputs),
            x.new_zeros(groups, inputs, outputs),
            x.new_zeros(groups, inputs),
            x.new_zeros(groups, outputs),
        )

    def add(self, x: Tensor, missing: Tensor) -> None:
        """Add some rows."""
        by_group, wanted = x.permute(1, 2, 0), missing.transpose(0, 1)
        self.gram += by_group @ x.transpose(0, 1)
        self.cross += by_group @ wanted
        self.inputs += x.sum(0)
        self.missing += missing.sum(0)
        self.rows += x.shape[0]

    def centred(self, has_bias: bool) -> Equations:
        """The equations.

        Raises:
            TrainingError: A number in them is not finite.
        """
        if not bool(self.gram.isfinite().all() and self.cross.isfinite().all()):
            raise TrainingError(
                "repairing by least-squares",
                "the activations of the network",
                given="not finite",
                expected="finite numbers",
                remedy="Look at the batches, and at the network's answers to them.",
            )
        if not has_bias:
            return Equations(self.gram, self.cross, self.inputs * 0, self.missing * 0)
        inputs, missing = self.inputs / self.rows, self.missing / self.rows
        return Equations(
            self.gram - self.rows * inputs.unsqueeze(2) * inputs.unsqueeze(1),
            self.cross - self.rows * inputs.unsqueeze(2) * missing.unsqueeze(1),
            inputs,
            missing,
        )
