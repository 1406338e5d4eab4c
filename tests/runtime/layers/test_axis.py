from __future__ import annotations

import pytest

from secateur.runtime.layers.axis import ConvAxis

AXES = [
    ConvAxis(size, kernel, stride, dilation, before, after)
    for size in (1, 5, 8)
    for kernel in (1, 2, 3)
    for stride in (1, 2, 3)
    for dilation in (1, 2)
    for before, after in ((0, 0), (1, 2), (4, 0))
    if size + before + after > dilation * (kernel - 1)
]


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_every_tap_reads_the_pixel_that_a_convolution_reads(axis: ConvAxis) -> None:
    pixels = {}
    for slot, phase in enumerate(axis.phases):
        positions, image = axis.inside(phase)
        numbers = range(axis.size)[image]
        assert len(numbers) == positions.stop - positions.start
        assert 0 <= positions.start <= positions.stop <= axis.length
        for offset, pixel in enumerate(numbers):
            pixels[slot, positions.start + offset] = pixel
    for tap in range(axis.kernel):
        slot, first = axis.place(tap)
        for output in range(axis.outputs):
            assert first + output < axis.length
            read = output * axis.stride + tap * axis.dilation - axis.before
            assert pixels.get((slot, first + output)) == (read if 0 <= read < axis.size else None)


def test_an_image_without_padding_and_stride_is_read_as_it_is() -> None:
    assert ConvAxis(8, 3, 1, 2, 0, 0).plain
    assert not ConvAxis(8, 3, 2, 1, 0, 0).plain
    assert not ConvAxis(8, 3, 1, 1, 0, 1).plain
