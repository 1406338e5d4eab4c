"""Regression: real numbers for each example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from secateur.data.data import Batch, Data
from secateur.errors import UsageError
from secateur.tasks.task import Quality, Task, answer, target_of, targets_of, wrong_output

_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}


class Regression(Task):
    """A distance between answer and target is minimised; RMSE, MAE and R2 are measured.

    The net gives as many numbers as the target has: `[B]` or `[B, K]`; `[B, 1]` is taken for
    `[B]`. Nothing is broadcast.

    Args:
        minimise: `mse`, `mae` or `huber`.
        unit: Of the target, for axes and heads.

    Raises:
        UsageError: No such distance.
    """

    libraries = ("torchmetrics",)

    def __init__(self, minimise: Literal["mse", "mae", "huber"] = "mse", unit: str = "") -> None:
        if minimise not in _LOSSES:
            raise UsageError(
                "making the task regression",
                "minimise",
                given=repr(minimise),
                expected=f"one of {', '.join(_LOSSES)}",
                remedy="Choose one; another loss is a task of your own.",
            )
        self._distance = _LOSSES[minimise]
        self.qualities = (
            Quality("rmse", higher=False, label="RMSE", unit=unit),
            Quality("mae", higher=False, label="MAE", unit=unit),
            Quality("r2", higher=True, label="R²"),
        )

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """The distance, mean over all numbers of the batch."""
        found, target = _pair(output, batch)
        return self._distance(found, target.to(found.dtype))

    def meter(self, data: Data) -> _Errors:
        """Gathers the errors of a split in double precision."""
        del data
        return _Errors()

    def check_output(self, output: Any, batch: Batch, data: Data, *, exactly: bool = False) -> None:
        """The same shape as the target."""
        del data, exactly
        _pair(output, batch)

    def baseline(self, data: Data) -> float:
        """The RMSE of always answering the mean of the validation targets."""
        targets = targets_of(data, "val").double()
        return float((targets - targets.mean(0)).square().mean().sqrt())


def _pair(output: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    found, target = answer(output), target_of(batch)
    if found.dim() == target.dim() + 1 and found.shape[-1] == 1:
        found = found.squeeze(-1)
    elif target.dim() == found.dim() + 1 and target.shape[-1] == 1:
        target = target.squeeze(-1)
    if found.shape != target.shape or not found.is_floating_point():
        kind = "" if found.is_floating_point() else f"{found.dtype}, "
        raise wrong_output(
            f"{kind}of shape {tuple(found.shape)}",
            f"real numbers of shape {tuple(target.shape)}, as the target",
            "Return one number for each number of the target.",
        )
    return found, target


class _Errors:
    """RMSE, MAE and R2 of a split, by torchmetrics."""

    def __init__(self) -> None:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score

        self._metrics = {
            name: metric.set_dtype(torch.float64)
            for name, metric in (
                ("rmse", MeanSquaredError(squared=False)),
                ("mae", MeanAbsoluteError()),
                ("r2", R2Score()),
            )
        }

    def update(self, output: Any, batch: Batch) -> None:
        found, target = (one.detach().cpu().double().flatten() for one in _pair(output, batch))
        for metric in self._metrics.values():
            metric.update(found, target)

    def values(self) -> Mapping[str, float]:
        return {name: float(metric.compute()) for name, metric in self._metrics.items()}
