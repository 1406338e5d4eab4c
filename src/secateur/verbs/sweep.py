"""A study in Python: run it, ask what it found, and look at it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateur.report.figure import Picture
from secateur.report.notebook import show_study
from secateur.report.plot import WIDTH, plot
from secateur.report.records import Record, records
from secateur.study import study as core
from secateur.study.observer import Several, Silent
from secateur.tracking.observer import TrackingObserver
from secateur.verbs.study_arguments import METHODS, check_places, given_loop, study_of

if TYPE_CHECKING:
    from torch import nn

    from secateur.data.data import Data
    from secateur.study.observer import Observer
    from secateur.tasks.task import Task
    from secateur.training.loop import Evaluate
    from secateur.training.own_loop import Train
    from secateur.verbs.sensitivity import Sensitivity


class Study(core.RunFolder):
    """What a run folder holds, with its figures and its table; a notebook shows both.

    Args:
        folder: A run folder, finished or not.
        model: What builds its network, as for `sweep`, for what is exported of a pick.

    Raises:
        StoreError: There is no study in it.
    """

    def figure(
        self,
        *,
        x: str = "sparsity",
        y: str = "",
        methods: Collection[str] = (),
        title: str = "",
        width: float = WIDTH,
        path: str | Path | None = None,
    ) -> Picture:
        """Draw a score against what was saved; a notebook shows the picture.

        Args:
            x: `sparsity`, `conv_sparsity`, `macs`, `bytes`, `latency`, ...: an axis of
                `secateur.study.metrics.AXES`.
            y: `val_accuracy`, `test_rmse`, ...; the first score on test data if empty. The figure
                says which.
            methods: Those to draw; all if empty. The dense net stays.
            title: Stands above the figure.
            width: In inches.
            path: Where to write it, too: `.png`, `.svg` or `.pdf`.

        Raises:
            UnknownNameError: No such axis or method.
            UsageError: matplotlib is missing, the suffix is another, or nothing was measured.
            StoreError: The file cannot be written.
        """
        shown = plot(
            self.points,
            x=x,
            y=y,
            controls=core.CONTROLS,
            methods=methods,
            title=title,
            width=width,
        )
        picture = Picture(shown)
        if path is not None:
            picture.save(path)
        return picture

    def table(self) -> list[Record]:
        """One flat record a point: `pandas.DataFrame(study.table())`.

        Every share stands beside its integers, times are in seconds; see
        `secateur.report.records`.
        """
        return records(self.points, core.CONTROLS)

    def sensitivity(
        self,
        method: str = "magnitude",
        *,
        levels: Sequence[float] = (0.25, 0.5, 0.75, 0.9),
        seed: int | None = None,
        device: str = "auto",
        model: Callable[..., nn.Module] | None = None,
        data: Data | None = None,
    ) -> Sensitivity:
        """Cut each layer of the dense net alone, without retraining, and score it.

        Args:
            method: A method that prunes, with its settings in the study if it has some.
            levels: Sparsities, each of one layer.
            seed: Whose dense net; the study's first if None.
            device: As for `sweep`.
            model: What builds the network, unless it is a reference net.
            data: The data, unless they have a registered name.

        Returns:
            The study's first metric on the validation split, for each layer and level.

        Raises:
            UsageError: The method cuts nothing, a level is none, or what the folder names is yours
                to hand over.
            StoreError: The folder has no such dense net.
        """
        from secateur.study.sensitivity import study_in, study_sensitivity
        from secateur.verbs.sensitivity import Sensitivity

        handed = {name for name, one in (("model", model), ("data", data)) if one is not None}
        found = study_sensitivity(
            study_in(self.folder, handed),
            self.folder,
            method,
            levels,
            seed=seed,
            device=device,
            model=model,
            data=data,
        )
        return Sensitivity.of_values(found)

    def _repr_html_(self) -> str:
        return show_study(repr(self), self.points, core.CONTROLS)


def sweep(
    model: str | Callable[..., nn.Module] = "conv4",
    data: str | Data = "fashion-mini",
    *,
    methods: Sequence[str] | Mapping[str, Mapping[str, Any]] = METHODS,
    levels: Sequence[float | Sequence[float] | Mapping[str, float]] = (0.5, 0.7, 0.8, 0.9, 0.95),
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    name: str = "study",
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    ray: str = "",
    cpus_per_run: float = 1.0,
    gpus_per_run: float = 0.0,
    shared: bool = False,
    copy_to: str | None = None,
    observer: Observer | None = None,
    track: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    only: str | Sequence[str] = (),
    prunable: str | Sequence[str] = (),
    max_sparsity: float | Mapping[str, float] | None = None,
    protected: float | None = None,
    version: int = 1,
    scores: str | Path = "",
    masks: str | Path = "",
    task: str | Mapping[str, Any] | Task = "classification",
    train: str | Train | None = None,
    evaluate: str | Evaluate | None = None,
    quality: Mapping[str, str] | None = None,
    baseline: float | None = None,
    checkpoint: str | Path | None = None,
    **training: Any,
) -> Study:
    """Prune a network by several methods under one budget, or go on where that stopped.

    Runs are performed in worker processes, so a script calls this under
    `if __name__ == "__main__":`.

    Args:
        model: A reference net's name, `package.module:function`, or a function that returns the
            network (called with `shape` and `classes` if it takes them).
        data: A data set's name, `package.module:function`, or data that `secateur.data` makes.
        methods: Names (`all-weights`: every method of that family, see `secateur methods`), or a
            table of names and options as in a study file.
        levels: Sparsities for every method, of the weights that take part; a table of patterns
            and sparsities may stand for one.
        seeds: How many, or which.
        out: The run folder; `runs/NAME` by default.
        name: Of the study.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        workers: Worker processes; chosen for the machine by default.
        threads: Of each run; chosen for the machine by default.
        timeout: Seconds after which a run is given up, and counts as failed; never by default.
        ray: Runs on a Ray cluster: `auto`, `local` or `HOST:PORT`; on this machine by default.
        cpus_per_run: What of the cluster each run takes; below one any fraction.
        gpus_per_run: Likewise; without one runs are performed on the CPU.
        shared: Whether other sweeps of the same study may share the run folder, which say so, too.
        copy_to: An fsspec address (`s3://bucket/mine`, ...) that checkpoints are copied to as they
            are made, and in the end the whole folder; `secateur fetch` brings it back.
        observer: Told of everything that happens.
        track: Trackers that show it too: `mlflow`, `tensorboard`, or both.
        exclude: Layers that keep every element, as for `secateur.prune`; classes by their names.
        only: The layers that are cut, likewise.
        prunable: Parameters that count as weights, too.
        max_sparsity: The highest share of any layer's weights that may go, for all or by pattern.
        protected: The share of every layer's channels that stay, in cuts of filters and channels.
        version: Of the defaults, as in a study file.
        scores: A safetensors file of scores instead of the criteria of all methods but controls,
            as for `secateur.prune`: higher = kept.
        masks: A safetensors file of masks that every cut starts from: bool, True = kept.
        task: A task's name, a table of name and options, or a `secateur.tasks.Task`.
        train: `train(model, run)`, or its path, instead of `secateur.fit`.
        evaluate: `evaluate(model, split)`, or its path, instead of the task's metrics.
        quality: What `evaluate` measures: word -> `higher` or `lower`; the first one chooses.
        baseline: What an answer that ignores its input scores by the metric that chooses, where the
            task does not know: no better is collapsed, on no frontier and never picked.
        checkpoint: Weights that the dense net starts from: safetensors, or a torch file.
        **training: Fields of `TrainingSpec`: `base_epochs`, `retrain_epochs`, `batch_size`, ...

    Raises:
        UsageError: Something asked for cannot be; nothing was trained.
    """
    # Reading a study takes no torch, running one does.
    from secateur.remote.copy import RemoteCopy
    from secateur.study.executors.ray import RayCluster
    from secateur.study.sweep import run_study

    words = {
        "methods": methods,
        "levels": levels,
        "seeds": seeds,
        "name": name,
        "exclude": exclude,
        "only": only,
        "prunable": prunable,
        "max_sparsity": max_sparsity,
        "protected": protected,
        "version": version,
        "scores": scores,
        "masks": masks,
        "task": task,
        "train": train,
        "evaluate": evaluate,
        "quality": quality,
        "baseline": baseline,
        "checkpoint": checkpoint,
    }
    spec = study_of(model, data, words, training)
    check_places(
        out=out,
        device=device,
        workers=workers,
        timeout=timeout,
        copy_to=copy_to,
        ray=ray,
        cpus_per_run=cpus_per_run,
        gpus_per_run=gpus_per_run,
    )
    folder = Path(out) if out is not None else Path("runs") / name
    copying = None if copy_to is None else RemoteCopy(folder, copy_to)
    with (
        TrackingObserver([track] if isinstance(track, str) else track, folder) as tracking,
        copying or nullcontext(),
    ):
        run_study(
            spec,
            folder,
            model=None if isinstance(model, str) else model,
            data=None if isinstance(data, str) else data,
            given=given_loop(task, train, evaluate),
            device=device,
            workers=workers,
            threads=threads,
            executor=RayCluster(ray, cpus_per_run, gpus_per_run) if ray else None,
            shared=shared,
            timeout=timeout,
            observer=Several(tracking, copying or Silent(), observer or Silent()),
        )
    if copying:
        copying.finish()
    own = not isinstance(model, str) or ":" in model
    return Study(folder, model if own else None)
