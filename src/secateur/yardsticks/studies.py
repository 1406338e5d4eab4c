"""The studies of the yardsticks: nets, methods and budgets, for each size and each data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from secateur.errors import UsageError
from secateur.spec import StudySpec, check_study

GREY, COLOUR = "grey", "colour"
FASHION_MINI = "fashion-mini"
DATA: Mapping[str, tuple[str, ...]] = {
    FASHION_MINI: (GREY, COLOUR),
    "fashion-mnist": (GREY,),
    "mnist": (GREY,),
    "cifar10": (COLOUR,),
}
"""The data sets, and whose place they can take: MNIST's, which is grey, or CIFAR-10's."""
_SUFFIX = ".npz"


@dataclass(frozen=True)
class Size:
    """How large a study is.

    Attributes:
        images: To train on, at most.
        base: Epochs of the dense net.
        retrain: Epochs of a pruned net.
        seeds: How many.
    """

    images: int
    base: int
    retrain: int
    seeds: int


@dataclass(frozen=True)
class Study:
    """A study, but for its size and its data.

    Attributes:
        model: The net.
        stands_for: Whose data it is trained on: `grey` (MNIST's) or `colour` (CIFAR-10's).
        methods: As in a study file.
        training: Likewise.
        sizes: By their names.
        recipes: What differs between sweeps of one run folder, by their names.
        small_data: What is trained on instead, where the data are fashion-mini and the size is
            small: a deep net on 28 x 28 pixels takes too long there.
    """

    model: str
    stands_for: str
    methods: Mapping[str, Mapping[str, Any]]
    training: Mapping[str, Any]
    sizes: Mapping[str, Size]
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
    small_data: Mapping[str, Any] = field(default_factory=dict)


SIZES = ("small", "full")
_LENET = {
    "budget": "total",
    "batch_size": 64,
    "learning_rate": 0.0015,
    "schedule": "cosine",
    "retrain_schedule": "linear",
}
_GRADUAL = {"schedule": "gradual", "until": 0.5}
STUDIES: Mapping[str, Study] = {
    "lenet-300-100": Study(
        "lenet-300-100",
        GREY,
        {
            "magnitude": {"levels": [0.917, 0.95, 0.975], **_GRADUAL},
            "snip": {"levels": [0.95, 0.98]},
            "dense": {},
        },
        _LENET,
        {"small": Size(6_000, 12, 12, 3), "full": Size(10_000, 30, 30, 5)},
    ),
    "lenet-5": Study(
        "lenet-5",
        GREY,
        {
            "magnitude": {"levels": [0.917, 0.95, 0.975], **_GRADUAL},
            "snip": {"levels": [0.98, 0.99]},
            "dense": {},
        },
        _LENET,
        {"small": Size(3_000, 8, 8, 3), "full": Size(10_000, 20, 20, 5)},
    ),
    "mlp-500-300": Study(
        "mlp-500-300",
        GREY,
        {
            "slimming": {
                "levels": [{"parameters": 0.156}], "sparsity_epochs": 4, "penalty": 0.0003,
            },
            "dense": {},
        },
        _LENET,
        {"small": Size(6_000, 8, 12, 3), "full": Size(10_000, 20, 30, 5)},
    ),
    "lottery": Study(
        "lenet-300-100",
        GREY,
        {"lottery": {"levels": [0.488, 0.738, 0.866, 0.931, 0.965]}},
        {"batch_size": 64, "learning_rate": 0.0012},
        {"small": Size(6_000, 10, 10, 3), "full": Size(10_000, 30, 30, 5)},
    ),
    "resnet20": Study(
        "resnet20",
        COLOUR,
        {"magnitude": {"levels": [0.893], "schedule": "one-shot"}},
        {
            "budget": "total", "batch_size": 32, "optimizer": "sgd", "learning_rate": 0.05,
            "weight_decay": 0.0002, "schedule": "step",
        },
        {"small": Size(2_000, 10, 6, 3), "full": Size(10_000, 40, 24, 5)},
        recipes={
            # The last rate of the base net's training, a hundredth of its first.
            "fine-tuned": {"retrain_schedule": "constant", "retrain_learning_rate": 0.0005},
            "rewound": {"retrain": "rewind-rate"},
        },
        small_data={"name": "shapes", "options": {
            "train": 2_000, "val": 500, "test": 2_000, "size": 12, "difficulty": 0.25,
        }},
    ),
}  # fmt: skip
"""Each in a run folder of its own."""


def of_data(data: str) -> tuple[str, ...]:
    """The studies that a data set can be trained on for.

    Args:
        data: One of `DATA`, or the path of an `.npz` file of grey images.

    Raises:
        UsageError: It is neither.

    Example:
        >>> of_data("cifar10")
        ('resnet20',)
    """
    kinds = (GREY,) if data.endswith(_SUFFIX) else DATA.get(data)
    if kinds is None:
        raise UsageError(
            "choosing the data of the yardsticks",
            "the data set",
            given=repr(data),
            expected=f"one of {', '.join(DATA)}, or the path of an {_SUFFIX} file",
            remedy="Leave --data out for fashion-mini, which comes with secateur.",
        )
    return tuple(name for name, study in STUDIES.items() if study.stands_for in kinds)


def specs(name: str, data: str, size: str) -> dict[str, StudySpec]:
    """The studies of one run folder, by their recipes.

    Args:
        name: One of `STUDIES`.
        data: As for `of_data`.
        size: One of `SIZES`.

    Example:
        >>> list(specs("resnet20", "fashion-mini", "small"))
        ['fine-tuned', 'rewound']
    """
    study = STUDIES[name]
    asked = study.sizes[size]
    given = _data(study, data, size, asked.images)
    epochs = {"base_epochs": asked.base, "retrain_epochs": asked.retrain}
    return {
        recipe: check_study(
            {
                "name": f"yardstick-{name}",
                "model": study.model,
                "data": given,
                "seeds": asked.seeds,
                "training": {**study.training, **epochs, **changes},
                "methods": study.methods,
            },
            f"the yardstick {name}",
        )
        for recipe, changes in study.recipes.items()
    }


def _data(study: Study, data: str, size: str, images: int) -> dict[str, Any]:
    """The data as a study file names them; of a file of images all are trained on."""
    if data.endswith(_SUFFIX):
        return {"name": "npz", "options": {"path": data}}
    if data == FASHION_MINI and size == "small" and study.small_data:
        return dict(study.small_data)
    whole = size == "full" and data != FASHION_MINI
    return {"name": data, "options": {} if whole else {"train": images}}
