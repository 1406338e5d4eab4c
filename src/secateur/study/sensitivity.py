"""The sensitivity of a study's dense net: each layer cut alone, scored as the study does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from torch import nn

from secateur.data.data import Data
from secateur.errors import MaskError, StoreError
from secateur.point import Score
from secateur.pruning.method import Method, find_method
from secateur.pruning.sensitivity import LayerCut, Sensitivity, checked_layer_levels
from secateur.registry import METHODS
from secateur.spec import StudySpec, check_study
from secateur.study.cut_net import CutNet
from secateur.study.database import FILE
from secateur.study.job import Job
from secateur.study.own_word import check_harmless
from secateur.study.plan import POINT, Run
from secateur.study.planned import PlannedStudy, plan_study
from secateur.study.store import Store
from secateur.study.sweep import run_study
from secateur.training.device import resolve_device
from secateur.training.loop import Loop
from secateur.verbs.cut_alone import cut_each_layer


def study_in(folder: Path, handed: Collection[str] = ()) -> StudySpec:
    """The study of a run folder, where its word alone is enough to build the net and the data.

    Args:
        folder: The run folder.
        handed: What the user hands over, so that the folder's word for it does not count.

    Raises:
        StoreError: There is no study in the folder.
        UsageError: It names code or files, which a folder's word alone never opens.
    """
    study = check_study(Store(folder).settings, str(folder), trusted=False)
    check_harmless(study, folder, handed)
    return study


def study_sensitivity(
    study: StudySpec,
    folder: Path,
    method: str,
    levels: Sequence[float],
    *,
    seed: int | None = None,
    device: str = "auto",
    model: Callable[..., nn.Module] | None = None,
    data: Data | None = None,
    given: Loop | None = None,
    on_cut: Callable[[LayerCut], None] | None = None,
) -> Sensitivity:
    """Cut each layer of a study's dense net alone, without retraining, and score it.

    The net is that of the run folder; where there is no run folder yet, it is trained first and
    kept there, so that a sweep goes on with it.

    Args:
        study: The settings.
        folder: The run folder.
        method: A method that prunes, with its settings in the study if it has some.
        levels: Sparsities, each of one layer.
        seed: Whose base net; the study's first if None.
        device: As for a sweep.
        model: A builder in Python, instead of the settings' name.
        data: Data in Python, likewise.
        given: A task or functions in Python, where the settings say so.
        on_cut: Told of each cut as soon as it is scored.

    Returns:
        The scores of the metric that chooses, on the validation split.

    Raises:
        UsageError: The method cuts nothing, or a level is none.
        StoreError: The folder has no such base net.
    """
    tried = checked_layer_levels(levels)
    _check_cuts(find_method(method))
    study = _with(study, method)
    if not (folder / FILE).exists():
        dense = study.model_copy(update={"methods": {"dense": METHODS["dense"].options()}})
        run_study(dense, folder, model=model, data=data, given=given, device=device)
    planned = plan_study(study, folder, model=model, data=data, given=given)
    wanted = study.seeds[0] if seed is None else seed
    run = _first_cut(planned, method, wanted)
    _check_parents(run, folder)
    job = Job(run, planned.setup, device, sums=Store(folder).sums())
    net = CutNet(job, planned.data)
    net.load()
    return cut_each_layer(
        net.model,
        method,
        net.parts,
        tried,
        _scored(planned, device),
        example_inputs=net.example,
        statistics=net.statistics(net.model),
        layers=net.layers,
        on_cut=on_cut,
    )


def _scored(planned: PlannedStudy, device: str) -> Callable[[nn.Module], Score]:
    data = planned.data.to(resolve_device(device))

    def score(model: nn.Module) -> Score:
        model.to(resolve_device(device))
        try:
            many = planned.setup.study.training.batch_size
            return planned.loop.score(model, data, "val", many)[0]
        finally:
            model.cpu()

    return score


def _with(study: StudySpec, method: str) -> StudySpec:
    """The study with the method in it, and one level to name its first cut by."""
    options = study.methods.get(method) or METHODS[method].options()
    return study.model_copy(update={"methods": {method: options}})


def _check_cuts(method: Method) -> None:
    if not method.parts:
        pruning = [name for name in METHODS if METHODS[name].parts]
        raise MaskError(
            "measuring sensitivity",
            "the method",
            given=f"{method.name!r}, a control that cuts nothing",
            expected="a method that prunes",
            remedy=f"Choose one of {', '.join(pruning)}.",
        )


def _first_cut(planned: PlannedStudy, method: str, seed: int) -> Run:
    for run in planned.runs:
        if (run.kind, run.method, run.seed) == (POINT, method, seed):
            return run
    seeds = ", ".join(map(str, planned.setup.study.seeds))
    raise MaskError(
        "measuring sensitivity",
        "the seed",
        given=str(seed),
        expected=f"one of {seeds}",
        remedy="Name a seed of the study.",
    )


def _check_parents(run: Run, folder: Path) -> None:
    finished = Store(folder).finished()
    missing = [role for role, digest in run.parents.items() if digest not in finished]
    if missing:
        raise StoreError(
            "measuring sensitivity",
            str(folder),
            given=f"a folder without the run that {run.method} starts from ({', '.join(missing)})",
            expected="the base net of these settings, trained",
            remedy="Run `secateur sweep` with them first, or name another folder with --out.",
        )
