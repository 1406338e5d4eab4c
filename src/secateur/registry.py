"""Names of methods, criteria, reference nets and data sets, and where each one lives.

A registry is a table of names and import paths. Nothing is imported until a name is used, so a
study file is validated, and the command line answers, without loading torch.

To add an entry: write its file, then one line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from secateur.errors import UnknownNameError


class Registry(Mapping[str, Any]):
    """A lazy, ordered table: name -> object.

    Args:
        kind: What the entries are, for messages: `"method"`.
        entries: Name -> `"package.module:attribute"`.

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

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._paths = dict(entries)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """The object registered under `name`.

        Raises:
            UnknownNameError: No entry has this name.
        """
        self.check(name)
        if name not in self._loaded:
            module, _, attribute = self._paths[name].partition(":")
            self._loaded[name] = getattr(importlib.import_module(module), attribute)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._paths, *self._loaded])

    def __len__(self) -> int:
        return len(set(self._paths) | set(self._loaded))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._paths or name in self._loaded)

    def check(self, name: str) -> str:
        """Return `name` if it is known, without importing what it stands for.

        Raises:
            UnknownNameError: No entry has this name.
        """
        if name not in self:
            raise UnknownNameError(self.kind, name, self)
        return name

    def add(self, name: str, entry: Any) -> None:
        """Register an object of the user's own under `name`, for this process.

        Raises:
            ValueError: The name is taken.
        """
        if name in self:
            raise ValueError(f"the {self.kind} {name!r} is registered already")
        self._loaded[name] = entry


MODELS = Registry(
    "model",
    {
        "conv4": "secateur.models.conv4:conv4",
        "lenet-300-100": "secateur.models.lenet:lenet_300_100",
        "lenet-5": "secateur.models.lenet:lenet_5",
        "vgg16-bn": "secateur.models.vgg:vgg16_bn",
        "vgg19-bn": "secateur.models.vgg:vgg19_bn",
        "resnet20": "secateur.models.resnet:resnet20",
        "resnet56": "secateur.models.resnet:resnet56",
    },
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
)

CRITERIA = Registry(
    "criterion",
    {
        "magnitude": "secateur.pruning.criteria.magnitude:magnitude",
        "scale": "secateur.pruning.criteria.scale:scale",
        "random": "secateur.pruning.criteria.random:random",
    },
)

METHODS = Registry(
    "method",
    {
        "magnitude": "secateur.pruning.methods.magnitude:METHOD",
        "l1-filter": "secateur.pruning.methods.l1_filter:METHOD",
        "slimming": "secateur.pruning.methods.slimming:METHOD",
        "combined": "secateur.pruning.methods.combined:METHOD",
        "random-weight": "secateur.pruning.methods.random_weight:METHOD",
        "random-filter": "secateur.pruning.methods.random_filter:METHOD",
        "dense": "secateur.pruning.methods.dense:METHOD",
        "scratch": "secateur.pruning.methods.scratch:METHOD",
    },
)

TRACKERS = Registry(
    "tracker",
    {
        "mlflow": "secateur.tracking.mlflow:MlflowTracker",
        "tensorboard": "secateur.tracking.tensorboard:TensorBoardTracker",
    },
)
