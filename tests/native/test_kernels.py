"""The kernels against torch in float64, on every instruction set of this machine."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_op import apply

from secateur.errors import KernelError
from secateur.native import kernels, memory, packs
from secateur.native.structs import Algorithm, Flag, Kind, Layout, shape

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


def weight_of(size: tuple[int, ...], sparsity: float, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    kept = torch.rand(size, generator=random) >= sparsity
    return torch.randn(size, generator=random) * kept


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
    least = [reach * (taps - 1) + 1 for taps, reach in zip(kernel, dilation, strict=True)]
    height = draw(st.integers(max(1, least[0] - sides[0] - sides[1]), 26))
    width = draw(st.integers(max(1, least[1] - sides[2] - sides[3]), 26))
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


def test_subnormals_are_flushed_inside_and_the_mode_is_put_back() -> None:
    tiny = np.float32([[1e-39, 1.0]])
    pack = packs.pack_linear(np.float32([[1, 0], [0, 1]]))
    if kernels.isa() != "portable" or np.little_endian:
        assert apply(kernels.op_of(pack), tiny, threads=2).reshape(2).tolist() == [0.0, 1.0]
    assert np.float32(1e-39) * np.float32(0.5) > 0
    assert (torch.tensor([1e-39]) * 0.5).item() > 0


def test_threads_of_python_share_a_pack() -> None:
    weight = weight_of((64, 16, 3, 3), 0.8, 2)
    pack = packs.pack_conv2d(weight.numpy(), height=20, width=20, padding=(1, 1), batch=8)
    inputs = [torch.randn(8, 16, 20, 20) for _ in range(4)]
    wanted = [F.conv2d(x, weight, padding=1) for x in inputs]
    wrong = []

    def work(x: torch.Tensor, want: torch.Tensor) -> None:
        for _ in range(10):
            got = torch.from_numpy(apply(kernels.op_of(pack), x.numpy(), threads=2))
            if not torch.allclose(got, want, atol=1e-4):
                wrong.append(True)

    workers = [
        threading.Thread(target=work, args=pair) for pair in zip(inputs, wanted, strict=True)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_same_pack_gives_the_same_bits() -> None:
    weight = weight_of((64, 300), 0.8, 3)
    x = torch.randn(40, 300).numpy()
    op = kernels.op_of(packs.pack_linear(weight.numpy(), batch=40))
    runs = [apply(op, x, threads=threads) for threads in (1, 2, 3, 1)]
    assert all((run == runs[0]).all() for run in runs)


# ---- bad input ----------------------------------------------------------------------------------


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


def run_raw(op: object, arrays: list[np.ndarray], batch: int = 1, room: int | None = None) -> None:
    ops = kernels.array_of([op])
    needed = kernels.scratch_bytes(ops, 1)
    scratch = memory.aligned(needed if room is None else room, np.uint8)
    kernels.run(kernels.task(ops, kernels.buffers_of(arrays), scratch, batch=batch, threads=1))


def test_buffers_that_do_not_fit() -> None:
    weight = weight_of((4, 2, 3, 3), 0.5, 0).numpy()
    op = kernels.op_of(packs.pack_conv2d(weight, height=5, width=5))
    x, y = np.zeros(50, dtype=np.float32), np.zeros(36, dtype=np.float32)
    run_raw(op, [x, y])
    with pytest.raises(KernelError, match="op 0 is small buffer"):
        run_raw(op, [x[:-1], y])
    with pytest.raises(KernelError, match="op 0 is small buffer"):
        run_raw(op, [x, y[:-1]])
    with pytest.raises(KernelError, match="small buffer"):
        run_raw(op, [x, y], room=16)
    with pytest.raises(KernelError, match="op 0 is bad argument"):
        run_raw(op, [x])
    both = np.zeros(60, dtype=np.float32)
    with pytest.raises(KernelError, match="op 0 is bad argument"):
        run_raw(op, [both[:50], both[24:]])


def test_an_empty_batch_is_fine() -> None:
    op = kernels.op_of(packs.pack_linear(np.ones((2, 3), dtype=np.float32)))
    run_raw(op, [np.zeros(0, dtype=np.float32)] * 2, batch=0)


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


def test_a_pack_of_another_instruction_set_is_refused() -> None:
    others = [isa for isa in kernels.isas() if isa != kernels.isa()]
    if not others:
        pytest.skip("one instruction set only")
    op = kernels.op_of(packs.pack_linear(np.ones((2, 3), dtype=np.float32)))
    kernels.use_isa(others[0])
    with pytest.raises(KernelError, match="bad pack"):
        run_raw(op, [np.zeros(3, dtype=np.float32), np.zeros(2, dtype=np.float32)])


def test_a_pack_of_another_layer_is_refused() -> None:
    op = kernels.op_of(packs.pack_linear(np.ones((2, 3), dtype=np.float32)))
    op.shape.in_channels = 4
    with pytest.raises(KernelError, match="bad pack"):
        run_raw(op, [np.zeros(4, dtype=np.float32), np.zeros(2, dtype=np.float32)])


def test_an_unknown_kind_is_refused() -> None:
    op = kernels.op(Kind.RELU, shape((1, 1, 1), (1, 1, 1)), flags=Flag.NONE)
    op.kind = 99
    with pytest.raises(KernelError, match="bad argument"):
        run_raw(op, [np.zeros(1, dtype=np.float32)] * 2)
