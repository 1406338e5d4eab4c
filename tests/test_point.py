from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from secateur.point import Epochs, Layer, Point, Share, accuracy

POINT = Point(
    method="combined",
    level=(0.3, 0.9),
    step=1,
    seed=2,
    digest="ab12",
    scores=(accuracy("val", 90, 100), accuracy("test", 178, 200)),
    sparsity=Share(1, 3),
    conv_sparsity=Share(1, 7),
    model_sparsity=Share(1, 9),
    parameters=11,
    nonzero=10,
    masked_macs=2**53 + 1,
    nonzero_macs=12,
    compact_parameters=9,
    macs=8,
    epochs=Epochs(50, 10, 25),
    seconds=1.25,
    checkpoint="points/ab12.safetensors",
    floored=("conv1",),
    environment={"torch": "2.13.0"},
    curve=({"epoch": 1, "loss": 0.1, "val_accuracy": 0.9},),
    layers=(Layer("conv1.weight", "Conv2d", (4, 1, 3, 3), zeros=9, channels=4, kept=3),),
    artifact_bytes=512,
)


def test_a_share_keeps_its_integers() -> None:
    assert Share(1, 4).value == 0.25
    assert Share(0, 0).value == 0.0
    assert Share(2, 4) != Share(1, 2)


def test_the_budget_adds_up() -> None:
    assert Epochs(50, 10, 25).cumulative == 85


@pytest.mark.parametrize(
    ("level", "name"),
    [((), "-"), ((0.5,), "0.5"), ((0.3, 0.9), "0.3/0.9"), ((0.0,), "0"), ((0.999,), "0.999")],
)
def test_level_names(level: tuple[float, ...], name: str) -> None:
    assert replace(POINT, level=level).level_name == name


def test_a_point_survives_json_exactly() -> None:
    assert Point.from_dict(json.loads(json.dumps(POINT.to_dict()))) == POINT
    assert Point.from_dict(POINT.to_dict()) == POINT


def test_a_point_with_defaults_survives_too() -> None:
    bare = replace(POINT, floored=(), environment={}, curve=())
    assert Point.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare


def test_a_point_of_an_older_store_has_no_layers_and_no_size() -> None:
    values = POINT.to_dict()
    del values["layers"], values["artifact_bytes"]
    assert Point.from_dict(values) == replace(POINT, layers=(), artifact_bytes=None)


def test_every_field_is_written() -> None:
    assert set(POINT.to_dict()) == {field.name for field in fields(Point)}


@pytest.mark.parametrize(
    ("correct", "total", "majority", "collapsed"),
    [
        (200, 2000, 200, True),  # one class named always
        (150, 2000, 200, True),  # worse than that
        (226, 2000, 200, True),  # two deviations of a guess, 26.8, and not more
        (227, 2000, 200, False),
        (1820, 2000, 200, False),
        (90, 100, 90, True),  # most images are of one class
        (97, 100, 90, False),
        (10, 10, 10, True),  # nothing but one class: nothing can be known
        (7, 10, 3, False),
    ],
)
def test_a_guess_is_told_from_a_skill(
    correct: int, total: int, majority: int, collapsed: bool
) -> None:
    assert (
        replace(
            POINT, scores=(accuracy("val", correct, total), POINT.test), majority=majority
        ).collapsed
        is collapsed
    )


def test_without_the_most_frequent_class_nothing_is_said() -> None:
    assert POINT.collapsed is None
