"""What a tracker is, and what it is told: words and numbers of the store, nothing of torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from secateur.foundation.level_text import level_text
from secateur.spec import digest
from secateur.study.plan import Run

_LAYERS = ("exclude", "only", "prunable", "max_sparsity")
_NOT = ("levels", *_LAYERS)


@dataclass(frozen=True)
class Tracked:
    """The study that a tracker follows.

    Attributes:
        folder: The run folder.
        settings: The study's settings, defaults included.
        runs: The plan.
    """

    folder: Path
    settings: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.settings["name"])

    @property
    def digest(self) -> str:
        """Names what the study asks for: the same settings and data give the same."""
        return digest({"runs": [run.digest for run in self.runs]})

    def parameters(self, run: Run) -> dict[str, str]:
        """What made a run, as flat text: `training.base_epochs`, `model`, `level`, ..."""
        options = self.settings["methods"].get(run.method, {})
        flat: dict[str, Any] = {
            "kind": run.kind,
            "method": run.method,
            "level": level_name(run),
            "seed": run.seed,
            "model": self.settings["model"]["name"],
            "model.options": self.settings["model"]["options"],
            "data": self.settings["data"]["name"],
            "data.options": self.settings["data"]["options"],
            "task": self.settings.get("task", {}).get("name"),
            **{f"training.{name}": value for name, value in self.settings["training"].items()},
            **{f"method.{name}": value for name, value in options.items() if name not in _NOT},
            **{name: _of_both(self.settings, options, name) for name in _LAYERS},
        }
        return {
            name: _text(value) for name, value in flat.items() if value not in (None, {}, "", [])
        }


def _of_both(settings: Mapping[str, Any], options: Mapping[str, Any], name: str) -> Any:
    """A method's own setting, or the study's."""
    own = options.get(name)
    return settings.get(name) if own is None else own


def tags(run: Run) -> dict[str, str]:
    """What finds a run again; its digest names it for good."""
    found = {
        "secateur.digest": run.digest,
        "secateur.kind": run.kind,
        "secateur.method": run.method,
        "secateur.level": level_name(run),
        "secateur.seed": str(run.seed),
    }
    return found | {f"secateur.parent.{role}": digest for role, digest in run.parents.items()}


def level_name(run: Run) -> str:
    """The level as text, as in `Point`: `0.5`, `0.3/0.9`, `-`."""
    return level_text(run.level) or "-"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Result:
    """What the store holds of a finished run.

    Attributes:
        metrics: The numbers of its record (see `secateur.report.records`); none of sparsity
            training.
        curve: One entry an epoch: `epoch`, `loss`, and a score such as `val_accuracy`.
        checkpoint: Its weights.
        scores: Those of the metrics that the study is about: the first score on each split.
    """

    checkpoint: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[Mapping[str, float]] = ()
    scores: Sequence[str] = ()


class Tracker(Protocol):
    """Shows runs somewhere. Every call may take its time, or fail: a thread of its own waits.

    Making one imports its library, and raises UsageError if that is missing.
    """

    name: str

    @property
    def where(self) -> str:
        """How to look at what it shows, in one line."""

    def begin(self, study: Tracked) -> None:
        """The sweep begins, or goes on."""

    def start(self, run: Run) -> None:
        """A run begins, maybe not for the first time: what it left half-done is replaced."""

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """A run that has begun has trained another epoch: `epoch`, `loss`, `val_accuracy`."""

    def finish(self, run: Run, result: Result) -> None:
        """Show all that the store holds of a run; called again, add what is new.

        The run need not have begun in this sweep.
        """

    def fail(self, run: Run, reason: str) -> None:
        """A run has failed, or was never begun because of another."""

    def stop(self, run: Run) -> None:
        """A run that has begun will not end: the sweep was stopped."""

    def close(self, files: Mapping[str, bytes], whole: bool) -> None:
        """The sweep has ended, by itself or not; the study's figures and its table, by name."""
