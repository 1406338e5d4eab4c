"""The kernels of sparse training against plain loops, on every instruction set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secateur.errors import KernelError
from secateur.runtime.kernels import kernels
from secateur.runtime.kernels.nonzeros import Nonzeros

pytestmark = pytest.mark.usefixtures("any_isa")
LANES = 16  # a multiple of every instruction set's


def floats(array: np.ndarray) -> tuple[int, int]:
    return array.ctypes.data, array.size


def inputs_of(nonzeros: Nonzeros, plane: int) -> np.ndarray:
    """`[nonzeros of the plane, height, width]`: the input positions that they read."""
    first, last = nonzeros.indptr[plane : plane + 2]
    rows = np.arange(nonzeros.height)[:, None] * nonzeros.pitch + np.arange(nonzeros.width)
    return nonzeros.indices[first:last, None, None] + rows


def expected(
    nonzeros: Nonzeros,
    values: np.ndarray,
    bias: np.ndarray | None,
    x: np.ndarray,
    outer: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The product and the gradient in float64."""
    output = np.zeros((nonzeros.planes, nonzeros.height, nonzeros.width, x.shape[1]))
    gradient = np.zeros(len(nonzeros.indices))
    for plane in range(nonzeros.planes):
        some = slice(*nonzeros.indptr[plane : plane + 2])
        read = x.astype(np.float64)[inputs_of(nonzeros, plane)]
        output[plane] = np.einsum("t,thwb->hwb", values[some].astype(np.float64), read)
        output[plane] += 0 if bias is None else bias[plane]
        gradient[some] = np.einsum("thwb,hwb->t", read, outer[plane].astype(np.float64))
    return output, gradient


@st.composite
def cases(draw: st.DrawFn) -> tuple[Nonzeros, int, np.random.Generator]:
    random = np.random.default_rng(draw(st.integers(0, 999)))
    planes, height, width = (draw(st.integers(1, largest)) for largest in (7, 6, 30))
    pitch = width + draw(st.integers(0, 3))
    positions = (height - 1) * pitch + width + draw(st.integers(0, 40))
    counts = random.integers(0, draw(st.sampled_from([1, 5, 40])), planes)
    indptr = np.concatenate([[0], counts.cumsum()]).astype(np.int64)
    last = positions - (height - 1) * pitch - width
    index = random.integers(0, last + 1, indptr[-1]).astype(np.int32)
    return Nonzeros(indptr, index, height, width, pitch, positions), draw(st.integers(1, 5)), random


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cases(), st.booleans(), st.integers(1, 3))
def test_they_are_those_of_the_loops(
    case: tuple[Nonzeros, int, np.random.Generator], biased: bool, threads: int
) -> None:
    nonzeros, vectors, random = case
    batch = vectors * LANES
    x = random.standard_normal((nonzeros.positions, batch)).astype(np.float32)
    outer = random.standard_normal((nonzeros.planes, nonzeros.height, nonzeros.width, batch))
    outer = outer.astype(np.float32)
    values = random.standard_normal(len(nonzeros.indices)).astype(np.float32)
    bias = random.standard_normal(nonzeros.planes).astype(np.float32) if biased else None
    wanted = expected(nonzeros, values, bias, x, outer)
    for isa in kernels.isas():
        kernels.use_isa(isa)
        output, gradient = np.full_like(outer, np.nan), np.full_like(values, np.nan)
        address = None if bias is None else bias.ctypes.data
        nonzeros.product(
            values.ctypes.data, address, floats(x), floats(output), batch=batch, threads=threads
        )
        nonzeros.gradient(
            floats(x), floats(outer), gradient.ctypes.data, batch=batch, threads=threads
        )
        np.testing.assert_allclose(output, wanted[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(gradient, wanted[1], rtol=1e-4, atol=2e-3)


def test_the_same_bits_whatever_the_threads() -> None:
    random = np.random.default_rng(0)
    indptr = np.arange(0, 641, 10)
    nonzeros = Nonzeros(indptr, random.integers(0, 300, 640).astype(np.int32), 8, 9, 11, 400)
    x, outer = (random.standard_normal((n, 64)).astype(np.float32) for n in (400, nonzeros.outputs))
    values = random.standard_normal(640).astype(np.float32)
    seen = set()
    for threads in (1, 2, 3):
        output, gradient = np.empty_like(outer), np.empty_like(values)
        nonzeros.product(
            values.ctypes.data, None, floats(x), floats(output), batch=64, threads=threads
        )
        nonzeros.gradient(floats(x), floats(outer), gradient.ctypes.data, batch=64, threads=threads)
        seen.add((output.tobytes(), gradient.tobytes()))
    assert len(seen) == 1


def test_a_value_that_is_not_finite_stays_with_its_plane_and_image() -> None:
    nonzeros = Nonzeros(np.array([0, 1, 2]), np.array([0, 1], np.int32), 1, 1, 1, 2)
    x, output = np.ones((2, LANES), np.float32), np.empty((2, LANES), np.float32)
    x[0, 3], values = np.nan, np.ones(2, np.float32)
    nonzeros.product(values.ctypes.data, None, floats(x), floats(output), batch=LANES, threads=1)
    assert np.isnan(output).sum() == 1
    assert np.isnan(output[0, 3])


GOOD = Nonzeros(np.array([0, 2, 3]), np.array([0, 3, 1], np.int32), 2, 3, 4, 10)


@pytest.mark.parametrize(
    "nonzeros",
    [
        replace(GOOD, indices=np.array([0, 4, 1], np.int32)),  # reads a position too far
        replace(GOOD, indices=np.array([0, -1, 1], np.int32)),
        replace(GOOD, indptr=np.array([0, 3, 2])),  # falling
        replace(GOOD, indptr=np.array([1, 2, 3])),
        replace(GOOD, pitch=5),
        replace(GOOD, pitch=-4),
        replace(GOOD, height=0),
        replace(GOOD, width=2**40),
        replace(GOOD, positions=9),
    ],
)
def test_what_reads_outside_is_refused(nonzeros: Nonzeros) -> None:
    x, y, values = np.ones(10 * LANES, np.float32), np.ones(12 * LANES, np.float32), np.ones(3)
    for run in both(nonzeros, x, y, values.astype(np.float32)):
        with pytest.raises(KernelError, match="bad argument"):
            run()


def both(
    nonzeros: Nonzeros, x: np.ndarray, y: np.ndarray, values: np.ndarray, batch: int = LANES
) -> list:
    numbers = values.ctypes.data
    return [
        lambda: nonzeros.product(numbers, None, floats(x), floats(y), batch=batch, threads=1),
        lambda: nonzeros.gradient(floats(x), floats(y), numbers, batch=batch, threads=1),
    ]


def test_buffers_that_are_too_small_overlap_or_hold_half_a_vector_are_refused() -> None:
    x, y = np.ones(10 * LANES, np.float32), np.ones(12 * LANES, np.float32)
    values = np.ones(3, np.float32)
    for run in both(GOOD, x, y, values):
        run()
    for run in (*both(GOOD, x[:-1], y, values), *both(GOOD, x, y[:-1], values)):
        with pytest.raises(KernelError, match="small buffer"):
            run()
    whole = np.ones(30 * LANES, np.float32)
    for run in both(GOOD, whole[: 10 * LANES], whole[9 * LANES :], values):
        with pytest.raises(KernelError, match="bad argument"):
            run()
    for batch in (0, -LANES, 3):
        for run in both(GOOD, x, y, values, batch):
            with pytest.raises(KernelError, match="bad argument"):
                run()
