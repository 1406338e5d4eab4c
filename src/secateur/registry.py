"""Names of methods, criteria, models, data sets and more, and where each one lives.

A registry is a table of names and import paths. Nothing is imported until a name is used, so a
study file is validated, and the command line answers, without loading torch.

A name comes from one of four places: the table here; an installed package, by an entry point of
the registry's group; `add`, for this process and for the workers of its sweeps; or the user's own
study file or call, as `package.module:name` (`open`). What a run folder names is looked up and
never opened: nothing that somebody else wrote is imported.

To add an entry inside the package: write its file, then one line here.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from secateur.errors import UnknownNameError, UsageError, with_article
from secateur.foundation.own_error import text_of
from secateur.foundation.own_path import did_you_mean, meant_path

_SEPARATOR = ":"
_LONGEST_PATH = 200
"""Letters of a path that is repeated in a message; more are no name."""

_OF_ONES_OWN = {"model": "build", "data set": "data"}
"""What a function of the user's own may be called, by the kind of a table that takes its path."""


@cache
def _all_entry_points() -> Any:  # before Python 3.12 another type, which selects alike
    """Those of every installed package: the scan reads them all, whatever group is asked for."""
    return entry_points()


class Registry(Mapping[str, Any]):
    """A lazy, ordered table: name -> object.

    Args:
        kind: What the entries are, for messages: `"method"`.
        entries: Name -> `"package.module:attribute"`.
        group: The group of entry points by which installed packages add to it:
            `"secateur.methods"`; empty for none.

    Example:
        >>> table = Registry("codec", {"json": "json:dumps"})
        >>> table["json"]([1])
        '[1]'
        >>> table["jsn"]
        Traceback (most recent call last):
        ...
        secateur.errors.UnknownNameError: looking up a codec: the codec is 'jsn', \
expected one of json. Did you mean 'json'?
    """

    def __init__(self, kind: str, entries: Mapping[str, str], group: str = "") -> None:
        self.kind = kind
        self.group = group
        self._paths = dict(entries)
        self._loaded: dict[str, Any] = {}
        self._own: dict[str, Any] = {}

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        """What installed packages add; a name of the table is not theirs to take."""
        found = _all_entry_points().select(group=self.group) if self.group else ()
        return {one.name: one for one in found if one.name not in self._paths}

    def __getitem__(self, name: str) -> Any:
        """The object registered under `name`.

        Raises:
            UnknownNameError: No entry has this name.
            UsageError: The package that brings it cannot be imported.
        """
        self.check(name)
        if name in self._own:
            return self._own[name]
        if name not in self._loaded:
            self._loaded[name] = imported(self.kind, self._path(name), name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._paths, *self._installed, *self._own])

    def __len__(self) -> int:
        return len({*self._paths, *self._installed, *self._own})

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        return name in self._paths or name in self._own or name in self._installed

    def check(self, name: str) -> str:
        """Return `name` if it is known, without importing what it stands for.

        Raises:
            UnknownNameError: No entry has this name.
        """
        if name not in self:
            raise UnknownNameError(self.kind, name, self, hint=self._own_way(name))
        return name

    def _own_way(self, name: object) -> str:
        """How something of the user's own is named, where a table takes that."""
        if self.kind not in _OF_ONES_OWN:
            return ""
        if len(str(name)) > _LONGEST_PATH:
            return ""
        own = meant_path(str(name))
        if not own and str(name).removesuffix(".py").isidentifier():
            own = f"{str(name).removesuffix('.py')}:{_OF_ONES_OWN[self.kind]}"
        return f"A {self.kind} of your own is package.module:function, as in {own}." if own else ""

    def add(self, name: str, entry: Any) -> None:
        """Register an object of the user's own under `name`, for this process and its workers.

        Raises:
            UsageError: The name is taken.
        """
        if name in self:
            raise UsageError(
                f"registering {with_article(self.kind)}",
                "the name",
                given=f"{name!r}, which is taken",
                expected="a new one",
                remedy="Choose another name.",
            )
        self._own[name] = entry

    def open(self, name: Any) -> str:
        """Return `name`, whose object is imported now if it is `package.module:name`.

        For names that the user wrote; what a file of somebody else's names is only looked up.

        Raises:
            UnknownNameError: It is neither registered nor such a path.
            UsageError: The path leads to nothing.
        """
        if not isinstance(name, str) or _SEPARATOR not in name or name in self:
            return self.check(name)
        self._own[name] = imported(self.kind, name)
        return name

    def origin(self, name: str) -> str:
        """Where an entry comes from: `secateur`, an installed package, or `added`."""
        self.check(name)
        if name in self._paths:
            return "secateur"
        if name in self._own:
            return "added"
        distribution = self._installed[name].dist
        return distribution.name if distribution else "an installed package"

    def module(self, name: str) -> str:
        """The module that an entry was imported from; empty for an object that was added."""
        self.check(name)
        return self._path(name).partition(_SEPARATOR)[0]

    def _path(self, name: str) -> str:
        """The import path of a known name; empty for an object that was added."""
        if name in self._paths:
            return self._paths[name]
        if name in self._installed:
            return self._installed[name].value
        return name if _SEPARATOR in name else ""

    @property
    def own(self) -> dict[str, Any]:
        """What was added or opened in this process: a sweep hands it to its workers."""
        return dict(self._own)

    def adopt(self, entries: Mapping[str, Any]) -> None:
        """Take over what another process has registered."""
        self._own.update(entries)


def imported(kind: str, path: str, name: str = "") -> Any:
    """What `package.module:name` leads to, imported with the current folder on `sys.path`.

    Args:
        kind: What it should be, for messages: `"method"`.
        path: The path, as the user or secateur's own tables wrote it.
        name: What it was asked for by, where that is another word.

    Raises:
        UsageError: It cannot be imported, or there is nothing of that name.

    Example:
        >>> imported("codec", "json:dumps")([1])
        '[1]'
    """
    module, _, attribute = path.partition(_SEPARATOR)
    try:
        with current_folder_importable():
            found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as failure:  # whatever the module raises as it is run
        raise UsageError(
            f"looking up {with_article(kind)}",
            repr(name or path),
            given=f"{path!r}, which cannot be imported ({text_of(failure)})",
            expected="package.module:name, of a module that Python finds here",
            remedy=f"{did_you_mean(path)}Check the spelling, and that its package is installed or "
            "in this folder.",
        ) from failure
    return found


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """An installed command does not look there; `python -m` does."""
    with importable(os.getcwd()):
        yield


@contextmanager
def importable(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Have the modules in a folder found."""
    path = os.fspath(folder)
    sys.path.insert(0, path)
    try:
        yield
    finally:
        sys.path.remove(path)


MODELS = Registry(
    "model",
    {
        "conv4": "secateur.models.conv4:conv4",
        "lenet-300-100": "secateur.models.lenet:lenet_300_100",
        "lenet-5": "secateur.models.lenet:lenet_5",
        "mlp-500-300": "secateur.models.mlp:mlp_500_300",
        "vgg16-bn": "secateur.models.vgg:vgg16_bn",
        "vgg19-bn": "secateur.models.vgg:vgg19_bn",
        "resnet20": "secateur.models.resnet:resnet20",
        "resnet56": "secateur.models.resnet:resnet56",
    },
    "secateur.models",
)

DATASETS = Registry(
    "data set",
    {
        "fashion-mini": "secateur.data.fashion_mini:fashion_mini",
        "fashion-mnist": "secateur.data.idx:fashion_mnist",
        "mnist": "secateur.data.idx:mnist",
        "cifar10": "secateur.data.cifar:cifar10",
        "shapes": "secateur.data.shapes:shapes",
        "folder": "secateur.data.folder:folder",
        "npz": "secateur.data.npz:npz",
    },
    "secateur.data",
)

CRITERIA = Registry(
    "criterion",
    {
        "magnitude": "secateur.pruning.criteria.magnitude:magnitude",
        "scale": "secateur.pruning.criteria.scale:scale",
        "random": "secateur.pruning.criteria.random:random",
        "taylor": "secateur.pruning.criteria.taylor:taylor",
        "taylor-gate": "secateur.pruning.criteria.taylor_gate:taylor_gate",
        "l2": "secateur.pruning.criteria.l2:l2",
        "lamp": "secateur.pruning.criteria.lamp:lamp",
        "fpgm": "secateur.pruning.criteria.fpgm:fpgm",
        "taylor-activation": "secateur.pruning.criteria.taylor_activation:taylor_activation",
        "fisher": "secateur.pruning.criteria.fisher:fisher",
        "obd": "secateur.pruning.criteria.obd:obd",
        "mean-activation": "secateur.pruning.criteria.mean_activation:mean_activation",
        "apoz": "secateur.pruning.criteria.apoz:apoz",
        "hrank": "secateur.pruning.criteria.hrank:hrank",
        "wanda": "secateur.pruning.criteria.wanda:wanda",
        "sparsegpt": "secateur.pruning.criteria.sparsegpt:sparsegpt",
        "movement": "secateur.pruning.criteria.movement:movement",
        "change": "secateur.pruning.criteria.change:change",
        "snip": "secateur.pruning.criteria.snip:snip",
        "grasp": "secateur.pruning.criteria.grasp:grasp",
        "synflow": "secateur.pruning.criteria.synflow:synflow",
        "group-norm": "secateur.pruning.criteria.group_norm:group_norm",
        "scores": "secateur.pruning.criteria.scores:scores",
    },
    "secateur.criteria",
)

ALLOCATIONS = Registry(
    "allocation",
    {
        "global": "secateur.pruning.allocations.together:together",
        "uniform": "secateur.pruning.allocations.uniform:uniform",
        "uniform+": "secateur.pruning.allocations.uniform_plus:uniform_plus",
        "erk": "secateur.pruning.allocations.erk:erk",
        "owl": "secateur.pruning.allocations.owl:OWL",
    },
    "secateur.allocations",
)

COLLECTORS = Registry(
    "statistic",
    {
        "gradients": "secateur.pruning.statistics.gradients:Gradients",
        "squared-gradients": "secateur.pruning.statistics.gradients:SquaredGradients",
        "gate-gradients": "secateur.pruning.statistics.gradients:GateGradients",
        "activations": "secateur.pruning.statistics.activations:Activations",
        "input-norms": "secateur.pruning.statistics.activations:InputNorms",
        "input-moments": "secateur.pruning.statistics.input_moments:InputMoments",
        "output-means": "secateur.pruning.statistics.outputs:OutputMeans",
        "positive-outputs": "secateur.pruning.statistics.outputs:PositiveOutputs",
        "output-ranks": "secateur.pruning.statistics.outputs:OutputRanks",
        "output-slopes": "secateur.pruning.statistics.outputs:OutputSlopes",
        "example-gradients": "secateur.pruning.statistics.gradients:ExampleGradients",
        "hessian-diagonal": "secateur.pruning.statistics.curvature:HessianDiagonal",
        "gradient-flow": "secateur.pruning.statistics.curvature:GradientFlow",
        "synaptic-flow": "secateur.pruning.statistics.synaptic_flow:SynapticFlow",
    },
    "secateur.statistics",
)

REPAIRS = Registry(
    "repair",
    {
        "least-squares": "secateur.pruning.repairs.least_squares:REPAIR",
        "batch-norm": "secateur.pruning.repairs.batch_norm:REPAIR",
        "variance": "secateur.pruning.repairs.variance:REPAIR",
        "bias": "secateur.pruning.repairs.bias:REPAIR",
    },
    "secateur.repairs",
)
"""In the order in which several are done."""

METHODS = Registry(
    "method",
    {
        "magnitude": "secateur.pruning.methods.magnitude:METHOD",
        "l1-filter": "secateur.pruning.methods.l1_filter:METHOD",
        "slimming": "secateur.pruning.methods.slimming:METHOD",
        "group-lasso": "secateur.pruning.methods.group_lasso:METHOD",
        "growing": "secateur.pruning.methods.growing:METHOD",
        "combined": "secateur.pruning.methods.combined:METHOD",
        "l2-filter": "secateur.pruning.methods.l2_filter:METHOD",
        "lamp": "secateur.pruning.methods.lamp:METHOD",
        "fpgm": "secateur.pruning.methods.fpgm:METHOD",
        "taylor-filter": "secateur.pruning.methods.taylor_filter:METHOD",
        "taylor-gate": "secateur.pruning.methods.taylor_gate:METHOD",
        "obd": "secateur.pruning.methods.obd:METHOD",
        "fisher": "secateur.pruning.methods.fisher:METHOD",
        "wanda": "secateur.pruning.methods.wanda:METHOD",
        "sparsegpt": "secateur.pruning.methods.sparsegpt:METHOD",
        "movement": "secateur.pruning.methods.movement:METHOD",
        "change": "secateur.pruning.methods.change:METHOD",
        "taylor-activation": "secateur.pruning.methods.taylor_activation:METHOD",
        "mean-activation": "secateur.pruning.methods.mean_activation:METHOD",
        "apoz": "secateur.pruning.methods.apoz:METHOD",
        "hrank": "secateur.pruning.methods.hrank:METHOD",
        "snip": "secateur.pruning.methods.snip:METHOD",
        "grasp": "secateur.pruning.methods.grasp:METHOD",
        "synflow": "secateur.pruning.methods.synflow:METHOD",
        "lottery": "secateur.pruning.methods.lottery:METHOD",
        "set": "secateur.pruning.methods.set:METHOD",
        "rigl": "secateur.pruning.methods.rigl:METHOD",
        "ac-dc": "secateur.pruning.methods.ac_dc:METHOD",
        "static-sparse": "secateur.pruning.methods.static_sparse:METHOD",
        "random-weight": "secateur.pruning.methods.random_weight:METHOD",
        "random-filter": "secateur.pruning.methods.random_filter:METHOD",
        "random-combined": "secateur.pruning.methods.random_combined:METHOD",
        "dense": "secateur.pruning.methods.dense:METHOD",
        "scratch": "secateur.pruning.methods.scratch:METHOD",
    },
    "secateur.methods",
)

TRACKERS = Registry(
    "tracker",
    {
        "mlflow": "secateur.tracking.mlflow:MlflowTracker",
        "tensorboard": "secateur.tracking.tensorboard:TensorBoardTracker",
    },
    "secateur.trackers",
)

EXECUTORS = Registry(
    "executor",
    {
        "local": "secateur.study.executors.local:LocalExecutor",
        "ray": "secateur.study.executors.ray:AUTOMATIC",
    },
    "secateur.executors",
)

TASKS = Registry(
    "task",
    {
        "classification": "secateur.tasks.classification:Classification",
        "regression": "secateur.tasks.regression:Regression",
        "segmentation": "secateur.tasks.segmentation:Segmentation",
        "sequence-classification": "secateur.tasks.classification:SequenceClassification",
        "language-model": "secateur.tasks.language_model:LanguageModel",
    },
    "secateur.tasks",
)

METRICS = Registry("metric", {}, "secateur.metrics")

ALL = (
    *(MODELS, DATASETS, CRITERIA, ALLOCATIONS, COLLECTORS, REPAIRS, METHODS, TRACKERS, EXECUTORS),
    TASKS,
    METRICS,
)
"""Every registry: what was added to them in one process is handed to its workers."""
