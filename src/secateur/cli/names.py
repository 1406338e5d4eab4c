"""Names that the shell completes: methods, models, data sets, studies, run folders.

All of this answers between two key strokes, so nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from secateur.errors import SecateurError
from secateur.foundation.timed_engines import ENGINES
from secateur.point import Point
from secateur.pruning.method import ALL, FAMILIES
from secateur.registry import DATASETS, METHODS, MODELS
from secateur.study import presets


def methods(incomplete: str) -> list[str]:
    """Methods, with commas between them: `magnitude,l1` goes on to `magnitude,l1-filter`."""
    return _one_more((*METHODS, *(ALL + family for family in FAMILIES)), incomplete)


def engines(incomplete: str) -> list[str]:
    """What `secateur bench` times, with commas between them."""
    return _one_more(ENGINES, incomplete)


def models(incomplete: str) -> list[str]:
    """The reference nets."""
    return list(_starting(MODELS, incomplete))


def data_sets(incomplete: str) -> list[str]:
    """The data sets."""
    return list(_starting(DATASETS, incomplete))


def study_names(incomplete: str) -> list[str]:
    """The embedded studies; a file of one's own is completed by the shell."""
    return list(_starting(presets.names(), incomplete))


def run_folders(incomplete: str) -> list[str]:
    """Run folders under `runs/`, or under the folder that has been typed."""
    head, slash, _ = incomplete.rpartition("/")
    parents = [Path(head + slash)] if slash else [Path(), Path("runs")]
    found = (store.parent for parent in parents for store in parent.glob("*/study.sqlite"))
    return sorted(_starting((folder.as_posix() for folder in found), incomplete))


def points(context: typer.Context, incomplete: str) -> list[str]:
    """The points of the run folder that has been typed."""
    from secateur.study.point_names import names_of

    return list(_starting(names_of(_points_typed(context)), incomplete))


def axes(context: typer.Context, incomplete: str) -> list[str]:
    """What the levels of the run folder that has been typed can be compared by, and chosen."""
    return list(_starting(_axes_typed(context), incomplete))


def bounds(context: typer.Context, incomplete: str) -> list[str]:
    """The same, with what stands behind an axis that is bounded: `bytes=`."""
    return list(_starting((f"{name}=" for name in _axes_typed(context)), incomplete))


def scores(context: typer.Context, incomplete: str) -> list[str]:
    """The scores of the run folder that has been typed, on validation and on test data."""
    from secateur.study.metrics import score_metrics

    names = (one.name for one in score_metrics(_points_typed(context)))
    return list(_starting(names, incomplete))


def _axes_typed(context: typer.Context) -> list[str]:
    from secateur.study.metrics import axes_of

    return [name for name, axis in axes_of(_points_typed(context)).items() if axis.chooses]


def _points_typed(context: typer.Context) -> Sequence[Point]:
    """The points of the run folder that has been typed; none where that is none."""
    from secateur.study.int8_points import shown_points
    from secateur.study.store import Store

    # What stands before an unfinished option is not given to its parameter yet.
    run = context.params.get("run") or next(iter(context.args), None)
    try:
        return shown_points(Store(Path(run))) if run else ()
    except SecateurError:
        return ()


StudyFile = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study file, or an embedded study's name.",
        autocompletion=study_names,
    ),
]


def _one_more(known: Sequence[str], incomplete: str) -> list[str]:
    head, comma, last = incomplete.rpartition(",")
    given = head.split(",")
    return [head + comma + name for name in _starting(known, last) if name not in given]


def _starting(names: Iterable[str], incomplete: str) -> Iterator[str]:
    return (name for name in names if name.startswith(incomplete))


RunFolder = Annotated[Path, typer.Argument(help="A run folder.", autocompletion=run_folders)]

RunFolders = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="A run folder, or several.", autocompletion=run_folders),
]
