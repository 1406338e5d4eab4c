"""TensorBoard: event files under `RUN/tensorboard`, one folder for a run."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateur.errors import UsageError
from secateur.foundation.html import markdown
from secateur.study.folder import inside
from secateur.study.plan import Run
from secateur.tracking.tracker import Result, Tracked, tags

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
_SHOWN = "shown.json"
# What the HPARAMS tab puts beside the settings and the scores.
_HEADLINES = ("sparsity", "conv_sparsity", "macs")


class TensorBoardTracker:
    """Writes what TensorBoard shows: curves, final numbers, settings and the study's figures.

    `epoch/loss` and `epoch/val_accuracy` (or another score) are curves; the final numbers have the
    names of `secateur export-table` and stand at the epochs that the point has consumed. Scalars of
    TensorBoard are of single precision: the text `measured` has every number exactly.

    Raises:
        UsageError: tensorboard is missing.
    """

    name = "tensorboard"

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as missing:
            raise UsageError(
                "tracking with tensorboard",
                "tensorboard",
                given="not installed",
                expected="the extra 'track'",
                remedy="Run `pip install 'secateur[track]'`.",
            ) from missing
        self._make = SummaryWriter
        self._study: Tracked
        self._folder = Path(FOLDER)
        self._open: dict[str, SummaryWriter] = {}

    @property
    def where(self) -> str:
        """The command that shows it."""
        return f"TensorBoard: tensorboard --logdir {self._folder}"

    def begin(self, study: Tracked) -> None:
        """Note where to write."""
        self._study = study
        self._folder = study.folder / FOLDER

    def start(self, run: Run) -> None:
        """Begin its folder anew: event files can only grow."""
        shutil.rmtree(self._folder_of(run), ignore_errors=True)
        writer = self._open[run.digest] = self._writer(run)
        words = {**tags(run), **self._study.parameters(run)}
        writer.add_text("made by", _table(words))

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Write another step of its curves."""
        writer = self._open[run.digest]
        for name, value in values.items():
            if name != "epoch":
                _add(writer, f"epoch/{name}", value, int(values["epoch"]))
        writer.flush()

    def finish(self, run: Run, result: Result) -> None:
        """Write what is not there yet, and close its file."""
        shown = self._shown(run)
        if shown is None and run.digest not in self._open:
            self.start(run)
            for entry in result.curve:
                self.epoch(run, entry)
        known = (shown or {}).get("metrics", {})
        fresh = {name: each for name, each in result.metrics.items() if known.get(name) != each}
        if fresh or shown is None:
            writer = self._open.pop(run.digest, None) or self._writer(run)
            self._write_final(writer, run, result, fresh)
            writer.close()
            self._remember(run, result)

    def _write_final(
        self, writer: SummaryWriter, run: Run, result: Result, fresh: Mapping[str, float]
    ) -> None:
        step = sum(run.spent.values())
        for name, value in fresh.items():
            _add(writer, name, value, step)
        if result.metrics:
            exact = {name: repr(value) for name, value in result.metrics.items()}
            writer.add_text("measured", _table(exact), step)
            self._write_settings(writer, run, result)
        writer.add_text("checkpoint", f"`{result.checkpoint}`")

    def _write_settings(self, writer: SummaryWriter, run: Run, result: Result) -> None:
        from torch.utils.tensorboard.summary import hparams

        headlines = {name: result.metrics[name] for name in (*result.scores, *_HEADLINES)}
        # Not add_hparams: that makes another folder, with the time in its name, each time.
        file = writer._get_file_writer()  # type: ignore[no-untyped-call]
        summaries = hparams(  # type: ignore[no-untyped-call]
            self._study.parameters(run), headlines
        )
        for summary in summaries:
            file.add_summary(summary)

    def _remember(self, run: Run, result: Result) -> None:
        words = {"digest": run.digest, "metrics": dict(result.metrics)}
        (self._folder_of(run) / _SHOWN).write_text(json.dumps(words), encoding="utf-8")

    def _shown(self, run: Run) -> dict[str, Any] | None:
        """What is there of a run that was shown whole; None of any other."""
        try:
            text = (self._folder_of(run) / _SHOWN).read_text(encoding="utf-8")
            words: dict[str, Any] = json.loads(text)
        except (OSError, ValueError):
            return None
        return words if words.get("digest") == run.digest else None

    def fail(self, run: Run, reason: str) -> None:
        """Say why, and close its file."""
        if run.digest not in self._open:
            self.start(run)
        writer = self._open.pop(run.digest)
        writer.add_text("failed", markdown(reason))
        writer.close()

    def stop(self, run: Run) -> None:
        """Close its file."""
        self._open.pop(run.digest).close()

    def close(self, files: Mapping[str, bytes], whole: bool) -> None:  # noqa: ARG002
        """Write the study's figures in place of those before."""
        import numpy as np
        from PIL import Image

        pictures = {name: content for name, content in files.items() if name.endswith(".png")}
        folder = inside(self._study.folder, FOLDER, "study")
        shutil.rmtree(folder, ignore_errors=True)
        with self._make(str(folder)) as writer:
            for name, content in pictures.items():
                with Image.open(io.BytesIO(content)) as image:
                    pixels = np.asarray(image.convert("RGB"))
                writer.add_image(name, pixels, dataformats="HWC")

    def _writer(self, run: Run) -> SummaryWriter:
        return self._make(str(self._folder_of(run)))

    def _folder_of(self, run: Run) -> Path:
        title = re.sub(r"[^A-Za-z0-9.]+", "-", run.title).strip("-.")
        return inside(self._study.folder, FOLDER, f"{title}-{run.digest[:8]}")


def _add(writer: SummaryWriter, name: str, value: float, step: int) -> None:
    # Not in double precision: TensorBoard's fast loader, its default, shows nothing of those.
    writer.add_scalar(name, value, step)


def _table(words: Mapping[str, str]) -> str:
    """A table in Markdown, which TensorBoard shows and sanitises."""
    lines = (f"| {markdown(name)} | {markdown(value)} |" for name, value in words.items())
    return "\n".join(["| | |", "|---|---|", *lines])
