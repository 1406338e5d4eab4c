"""Packs: what was packed gives torch's numbers in float64, on every instruction set here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_op import apply, weight_of

from secateur.errors import KernelError
from secateur.runtime.kernels import kernels, memory, packs
from secateur.runtime.kernels.structs import Algorithm, Layout

pytestmark = pytest.mark.usefixtures("any_isa")
FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SPARSITIES = st.sampled_from([0.0, 0.5, 0.9, 0.97, 1.0])
LAYOUTS = st.sampled_from(list(Layout))
BATCHES = st.sampled_from([1, 2, 3, 7, 8, 9, 17, 33])


def assert_close(got: np.ndarray, want: torch.Tensor, scale: torch.Tensor) -> None:
    """Within 1e-4 of what the sum would be if nothing cancelled."""
    error = np.abs(got.astype(np.float64) - want.numpy())
    assert (error <= 1e-4 * scale.numpy() + 1e-30).all()


def an_algorithm(draw: st.DrawFn, *layouts: Layout) -> Algorithm:
    if Layout.LANES in layouts:
        return draw(st.sampled_from([Algorithm.AUTO, Algorithm.BY_LANE]))
    return draw(st.sampled_from(list(Algorithm)))


@FEW
@given(st.data())
def test_linear_is_torchs(data: st.DataObject) -> None:
    draw = data.draw
    outputs, inputs, batch = draw(st.integers(1, 70)), draw(st.integers(1, 400)), draw(BATCHES)
    before, after, relu = draw(LAYOUTS), draw(LAYOUTS), draw(st.booleans())
    algorithm, tuned = an_algorithm(draw, before, after), draw(st.sampled_from([1, 8, 64]))
    weight = weight_of((outputs, inputs), draw(SPARSITIES), draw(st.integers(0, 99)))
    bias = torch.randn(outputs) if draw(st.booleans()) else None
    x = torch.randn(batch, inputs)
    wide = None if bias is None else bias.double()
    want = F.linear(x.double(), weight.double(), wide)
    scale = F.linear(x.double().abs(), weight.double().abs(), None if wide is None else wide.abs())
    for isa in kernels.isas():
        kernels.use_isa(isa)
        pack = packs.pack_linear(
            weight.numpy(),
            None if bias is None else bias.numpy(),
            batch=tuned,
            in_layout=before,
            out_layout=after,
            algorithm=algorithm,
        )
        assert pack.info.nonzeros == int((weight != 0).sum())
        got = apply(kernels.op_of(pack, relu=relu), x.numpy(), threads=draw(st.integers(1, 2)))
        assert_close(got.reshape(batch, outputs), want.relu() if relu else want, scale)


@FEW
@given(st.data())
def test_convolution_is_torchs(data: st.DataObject) -> None:
    draw = data.draw
    small, pair = st.integers(1, 3), lambda each: draw(st.tuples(each, each))
    kernel, stride, dilation = pair(st.integers(1, 4)), pair(small), pair(small)
    sides = draw(st.tuples(*[st.integers(0, 3)] * 4))
    smallest = [reach * (length - 1) + 1 for length, reach in zip(kernel, dilation, strict=True)]
    height = draw(st.integers(max(1, smallest[0] - sides[0] - sides[1]), 26))
    width = draw(st.integers(max(1, smallest[1] - sides[2] - sides[3]), 26))
    inputs, outputs, batch = draw(st.integers(1, 9)), draw(st.integers(1, 20)), draw(BATCHES)
    before, after, relu = draw(LAYOUTS), draw(LAYOUTS), draw(st.booleans())
    algorithm, tuned = an_algorithm(draw, before, after), draw(st.sampled_from([1, 8, 64]))
    weight = weight_of((outputs, inputs, *kernel), draw(SPARSITIES), draw(st.integers(0, 99)))
    bias, x = torch.randn(outputs), torch.randn(batch, inputs, height, width)
    padded = F.pad(x.double(), (sides[2], sides[3], sides[0], sides[1]))
    options = {"stride": stride, "dilation": dilation}
    want = F.conv2d(padded, weight.double(), bias.double(), **options)
    scale = F.conv2d(padded.abs(), weight.double().abs(), bias.double().abs(), **options)
    for isa in kernels.isas():
        kernels.use_isa(isa)
        pack = packs.pack_conv2d(
            weight.numpy(),
            bias.numpy(),
            height=height,
            width=width,
            padding=sides,
            batch=tuned,
            in_layout=before,
            out_layout=after,
            algorithm=algorithm,
            **options,
        )
        got = apply(kernels.op_of(pack, relu=relu), x.numpy(), threads=draw(st.integers(1, 2)))
        assert_close(got, want.relu() if relu else want, scale)


@pytest.mark.parametrize("algorithm", [Algorithm.BY_IMAGE, Algorithm.BY_LANE])
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_the_same_bits_whatever_the_threads(kind: str, algorithm: Algorithm) -> None:
    random = np.random.default_rng(0)
    options = {"batch": 33, "algorithm": algorithm}
    for isa in kernels.isas():
        kernels.use_isa(isa)
        if kind == "linear":
            x = random.standard_normal((33, 300)).astype(np.float32)
            pack = packs.pack_linear(weight_of((70, 300), 0.5, 0).numpy(), **options)
        else:
            x = random.standard_normal((33, 8, 13, 11)).astype(np.float32)
            weight = weight_of((20, 8, 3, 3), 0.5, 0).numpy()
            pack = packs.pack_conv2d(weight, height=13, width=11, padding=(1, 1), **options)
        op = kernels.op_of(pack)
        assert len({apply(op, x, threads=threads).tobytes() for threads in (1, 2, 3)}) == 1


@pytest.mark.parametrize("columns", [65535, 65536, 65537, 70000])
def test_indices_are_wide_where_they_must_be(columns: int) -> None:
    weight = np.zeros((3, columns), dtype=np.float32)
    weight[[0, 1, 2, 2], [0, columns - 1, 1, columns // 2]] = [1, 2, 3, 4]
    x = np.arange(columns, dtype=np.float32)[None]
    for batch in (1, 64):
        pack = packs.pack_linear(weight, batch=batch)
        assert pack.info.index_bits == (
            32 if batch == 1 and columns > 65536 else pack.info.index_bits
        )
        want = np.float32([0, 2 * (columns - 1), 3 + 4 * (columns // 2)])
        assert (apply(kernels.op_of(pack), x).reshape(3) == want).all()


def test_a_big_image_needs_wide_indices() -> None:
    weight = weight_of((2, 3, 3, 3), 0.5, 0)
    x = torch.randn(1, 3, 300, 400)
    pack = packs.pack_conv2d(weight.numpy(), height=300, width=400, padding=(1, 1))
    got = apply(kernels.op_of(pack), x.numpy(), threads=2)
    torch.testing.assert_close(torch.from_numpy(got), F.conv2d(x, weight, padding=1))


def test_a_dropped_zero_does_not_carry_a_nan_and_a_weight_does() -> None:
    weight = np.float32([[1, 0], [0, 1], [1, 1]])
    for value in (np.nan, np.inf):
        x = np.float32([[value, 2.0]])
        for algorithm in (Algorithm.BY_IMAGE, Algorithm.BY_LANE):
            pack = packs.pack_linear(weight, algorithm=algorithm)
            got = apply(kernels.op_of(pack, relu=True), x).reshape(3)
            np.testing.assert_array_equal(got, np.float32([value, 2.0, value]))


def test_a_nan_in_one_image_stays_there() -> None:
    weight = weight_of((5, 3, 3, 3), 0.3, 1)
    x = torch.randn(9, 3, 7, 7)
    x[4] = torch.nan
    for algorithm in (Algorithm.BY_IMAGE, Algorithm.BY_LANE):
        pack = packs.pack_conv2d(weight.numpy(), height=7, width=7, algorithm=algorithm)
        got = apply(kernels.op_of(pack), x.numpy())
        assert np.isnan(got[4]).all()
        assert np.isfinite(np.delete(got, 4, axis=0)).all()


def test_shapes_that_cannot_be() -> None:
    weight = np.ones((2, 3, 3, 3), dtype=np.float32)
    with pytest.raises(KernelError, match="bad argument"):
        packs.pack_conv2d(weight, height=2, width=2)
    with pytest.raises(KernelError, match="bad argument"):
        packs.pack_conv2d(weight, height=8, width=8, stride=(0, 1))
    with pytest.raises(KernelError, match="bad argument"):
        packs.pack_linear(np.ones((0, 3), dtype=np.float32))
    with pytest.raises(KernelError, match=r"the bias is of shape \[3\], expected \[2\]"):
        packs.pack_linear(np.ones((2, 3), dtype=np.float32), np.ones(3, dtype=np.float32))
    with pytest.raises(KernelError, match="bad argument"):
        packs.pack_linear(
            np.ones((2, 3), dtype=np.float32),
            in_layout=Layout.LANES,
            algorithm=Algorithm.BY_IMAGE,
        )


def test_a_damaged_pack_is_refused() -> None:
    weight = weight_of((8, 4, 3, 3), 0.5, 0).numpy()
    pack = packs.pack_conv2d(weight, height=9, width=9, padding=(1, 1))
    assert packs.inspect(pack.blob).nonzeros == pack.info.nonzeros
    with pytest.raises(KernelError, match="bad pack"):
        packs.inspect(pack.blob[: pack.nbytes // 2])
    for at in (0, 5, 40, 100):
        damaged = memory.aligned(pack.nbytes, np.uint8)
        damaged[:] = pack.blob
        damaged[at] ^= 0x5A
        with pytest.raises(KernelError, match="bad pack"):
            packs.inspect(damaged)


def test_what_a_pack_holds() -> None:
    weight = weight_of((6, 4, 3, 2), 0.5, 0)
    pack = packs.pack_conv2d(weight.numpy(), height=9, width=8, dilation=(2, 1), padding=(1, 0))
    size, info = pack.info.shape, packs.inspect(pack.blob)
    assert bytes(info) == bytes(pack.info)
    assert (size.in_channels, size.in_height, size.in_width) == (4, 9, 8)
    assert (size.out_channels, size.out_height, size.out_width) == (6, 7, 7)
    assert info.nonzeros == int((weight != 0).sum()) <= info.stored
    assert (pack.address, pack.nbytes) == (pack.blob.ctypes.data, pack.blob.nbytes)


def test_a_pack_is_not_written_to() -> None:
    pack = packs.pack_linear(np.ones((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="read-only"):
        pack.blob[0] = 1
