from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secateur.pruning.allocations.erk import erk
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import LayerShape
from secateur.pruning.layer_counts import kept_counts

LENET = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
CONV4 = {"c1": (32, 1, 3, 3), "c2": (32, 32, 3, 3), "fc1": (256, 1568), "fc2": (10, 256)}


def reference(shapes: Sequence[tuple[int, ...]], density: float) -> list[float]:
    """The paper's procedure in float64: layers denser than one are made dense, one at a time."""
    numbers = np.array([math.prod(shape) for shape in shapes], dtype=np.float64)
    raw = np.array([sum(shape) for shape in shapes], dtype=np.float64) / numbers
    dense = np.zeros(len(shapes), dtype=bool)
    while True:
        left = density * numbers.sum() - numbers[dense].sum()
        factor = left / (raw[~dense] * numbers[~dense]).sum() if not dense.all() else 0.0
        found = np.where(dense, 1.0, factor * raw)
        if found.max() <= 1 + 1e-12:
            return [float(one) for one in found]
        dense[found.argmax()] = True


def test_densities_by_hand() -> None:
    """Of a convolution all axes count: (4 + 2 + 3 + 3) / 72; of a linear layer (10 + 40) / 400."""
    layers = [LayerShape("conv", (4, 2, 3, 3), "conv"), LayerShape("fc", (10, 40))]
    found = erk(layers, Fraction(1, 2), Statistics())
    assert [one.proportion for one in found] == [Fraction(1, 6), Fraction(1, 8)]
    assert [one.least for one in found] == [0, 0]


def test_counts_by_hand() -> None:
    # 1084, 400 and 110 neurons share 13310 weights: 8.350 each, 9051.5, 3340.0 and 918.5.
    assert kept_counts(LENET, 0.95) == {"fc1": 9051, "fc2": 3340, "fc3": 919}
    # At 0.9 the last layer is full with 1000, and the others share the rest: 25620 / 1484 each.
    assert kept_counts(LENET, 0.9) == {"fc1": 18714, "fc2": 6906, "fc3": 1000}


@pytest.mark.parametrize("shapes", [LENET, CONV4])
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.8, 0.9, 0.95, 0.98])
def test_counts_are_the_formula_to_a_weight(
    shapes: dict[str, tuple[int, ...]], sparsity: float
) -> None:
    expected = reference(list(shapes.values()), 1 - sparsity)
    found = kept_counts(shapes, sparsity)
    total = sum(map(math.prod, shapes.values()))
    assert sum(found.values()) == math.floor(total * (1 - sparsity) + 0.5 + 1e-9)
    for (name, shape), share in zip(shapes.items(), expected, strict=True):
        assert abs(found[name] - share * math.prod(shape)) <= 1 + 1e-6


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=6),
    st.integers(1, 99),
)
def test_any_shapes_are_the_formula_to_a_weight(
    shapes: list[tuple[int, int]], hundredths: int
) -> None:
    named = {str(number): shape for number, shape in enumerate(shapes)}
    found = kept_counts(named, hundredths / 100)
    expected = reference(shapes, 1 - hundredths / 100)
    if min(share * math.prod(one) for one, share in zip(shapes, expected, strict=True)) < 1:
        return  # the floor of one weight a layer is no part of the formula
    for name, shape, share in zip(named, shapes, expected, strict=True):
        assert abs(found[name] - share * math.prod(shape)) <= 1.5 + 1e-6
