"""Language modelling: the next token after each token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from secateur.data.data import Batch, Data
from secateur.point import Share
from secateur.tasks.soft_targets import soft_loss
from secateur.tasks.task import Quality, Task, answer, own_loss, target_of, targets_of, wrong_output


class LanguageModel(Task):
    """Cross-entropy of the next token is minimised; perplexity chooses.

    The net gives `[B, T, vocabulary]`. A target beside the inputs, int64 `[B, T]`, holds the token
    that follows each position. Where the target is `labels` among the inputs, they are the tokens
    themselves, as in `transformers`, and are shifted here.

    Args:
        ignore: The label of positions that count for nothing.
    """

    qualities = (
        Quality("perplexity", higher=False, label="perplexity"),
        Quality("token_accuracy", higher=True, label="token accuracy", unit="share"),
    )
    libraries = ("torchmetrics",)

    def __init__(self, ignore: int = -100) -> None:
        self._ignore = ignore

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """The net's own loss, or cross-entropy, mean over the positions that count."""
        found = own_loss(output)
        if found is not None:
            return found
        scores, target = _pair(output, batch)
        return functional.cross_entropy(
            scores.flatten(0, 1), target.flatten(), ignore_index=self._ignore
        )

    def terms(self, batch: Batch) -> int:
        """The positions that count."""
        target = target_of(batch)
        return int(((target[:, 1:] if batch[1] is None else target) != self._ignore).sum())

    def distillation(self, output: Any, taught: Any, batch: Batch, temperature: float) -> Tensor:
        """The divergence of the softened tokens, mean over the positions that count."""
        scores, target = _pair(output, batch)
        counts = target != self._ignore
        return soft_loss(scores[counts], _pair(taught, batch)[0][counts], temperature)

    def meter(self, data: Data) -> _Tokens:
        """Counts tokens."""
        del data
        return _Tokens(self._ignore)

    def check_output(self, output: Any, batch: Batch, data: Data, *, exactly: bool = False) -> None:
        """Scores for each position."""
        del data, exactly
        _pair(output, batch)

    def baseline(self, data: Data) -> float:
        """The perplexity of the tokens' own frequencies in the validation split."""
        tokens = targets_of(data, "val").flatten()
        counts = torch.bincount(tokens[tokens != self._ignore]).double()
        shares = counts[counts > 0] / counts.sum()
        return math.exp(float(-(shares * shares.log()).sum()))


def _pair(output: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    scores, target = answer(output), target_of(batch)
    if batch[1] is None and scores.dim() == 3:
        scores, target = scores[:, :-1], target[:, 1:]
    if scores.dim() != 3 or scores.shape[:2] != target.shape:
        raise wrong_output(
            f"of shape {tuple(scores.shape)}",
            f"[{', '.join(map(str, target.shape))}, vocabulary]",
            "Return one score for each token of the vocabulary at each position.",
        )
    return scores, target


class _Tokens:
    """Perplexity by torchmetrics, and right tokens of those that count."""

    def __init__(self, ignore: int) -> None:
        from torchmetrics.text import Perplexity

        self._ignore = ignore
        self._perplexity = Perplexity(ignore_index=ignore)
        self._right = self._total = 0

    def update(self, output: Any, batch: Batch) -> None:
        scores, target = (one.detach().cpu() for one in _pair(output, batch))
        counts = target != self._ignore
        self._right += int(((scores.argmax(-1) == target) & counts).sum())
        self._total += int(counts.sum())
        self._perplexity.update(scores.float(), target)

    def values(self) -> Mapping[str, float | Share]:
        found = float(self._perplexity.compute())
        return {"perplexity": found, "token_accuracy": Share(self._right, self._total)}
