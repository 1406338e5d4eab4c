"""Kernels: several ops in one call, threads, and what is refused before anything runs."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from one_op import apply, weight_of

from secateur.errors import KernelError, UnknownNameError
from secateur.runtime.kernels import kernels, memory, packs
from secateur.runtime.kernels.structs import Flag, Layout, OpKind, shape

pytestmark = pytest.mark.usefixtures("any_isa")


def test_an_instruction_set_is_used_from_then_on() -> None:
    assert kernels.isa() in kernels.isas()
    for isa in kernels.isas():
        kernels.use_isa(isa)
        assert kernels.isa() == isa
        assert kernels.lanes() in (4, 8, 16)
    with pytest.raises(UnknownNameError, match="is 'mmx'"):
        kernels.use_isa("mmx")
    assert kernels.isa() == isa


def test_lanes_are_filled_up_to_whole_tiles() -> None:
    width = kernels.lanes()
    floats = [kernels.lane_floats(3, batch) for batch in (0, 1, width, width + 1, 3 * width)]
    assert floats == [0, 3 * width, 3 * width, 6 * width, 9 * width]


def test_an_op_takes_shape_and_layouts_from_its_pack() -> None:
    weight = weight_of((4, 2, 3, 3), 0.5, 0).numpy()
    pack = packs.pack_conv2d(weight, height=6, width=7, stride=(2, 1), out_layout=Layout.LANES)
    op = kernels.op_of(pack, input=3, output=5, relu=True)
    assert (op.kind, op.flags, op.input, op.other, op.output) == (2, Flag.FUSE_RELU, 3, -1, 5)
    assert (op.in_layout, op.out_layout) == (Layout.PLAIN, Layout.LANES)
    assert (op.shape.out_channels, op.shape.out_height, op.shape.out_width) == (4, 2, 5)
    assert (op.pack, op.pack_bytes) == (pack.address, pack.nbytes)


def test_pack_and_scratch_live_as_long_as_what_runs_them() -> None:
    pack = packs.pack_linear(np.ones((2, 3), dtype=np.float32))
    scratch, buffers = memory.aligned(64, np.uint8), kernels.buffers_of([])
    alive = [weakref.ref(pack), weakref.ref(scratch)]
    ops = kernels.array_of([kernels.op_of(pack)])
    task = kernels.task(ops, buffers, scratch, batch=0, threads=1)
    del pack, ops, scratch
    gc.collect()
    assert [each() is None for each in alive] == [False, False]
    del task
    gc.collect()
    assert [each() is None for each in alive] == [True, True]


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("part", [0, 16, 32])
def test_a_net_runs_in_one_call(layout: Layout, threads: int, part: int) -> None:
    torch.manual_seed(0)
    first = torch.randn(8, 3, 3, 3) * (torch.rand(8, 3, 3, 3) > 0.8)
    last = torch.randn(10, 8 * 5 * 5) * (torch.rand(10, 200) > 0.8)
    x = torch.randn(19, 3, 10, 10)
    want = F.linear(F.max_pool2d(F.conv2d(x, first, padding=1).relu(), 2).flatten(1), last)
    conv = packs.pack_conv2d(
        first.numpy(), height=10, width=10, padding=(1, 1), batch=19, out_layout=layout
    )
    linear = packs.pack_linear(last.numpy(), batch=19, in_layout=layout)
    pooled = shape((8, 10, 10), (8, 5, 5), kernel=(2, 2), stride=(2, 2))
    places = {"in_layout": layout, "out_layout": layout}
    ops = kernels.array_of(
        [
            kernels.op_of(conv, input=0, output=1, relu=True),
            kernels.op(OpKind.MAX_POOL, pooled, input=1, output=2, **places),
            kernels.op_of(linear, input=2, output=3),
        ]
    )
    sizes = [kernels.lane_floats(count, part or 19) for count in (800, 200)]
    output = np.zeros((19, 10), dtype=np.float32)
    between = [np.zeros(size * (threads if part else 1), dtype=np.float32) for size in sizes]
    places = [
        (array.ctypes.data, array.size, size if part else 0)
        for array, size in zip(between, sizes, strict=True)
    ]
    scratch = memory.aligned(kernels.scratch_bytes(ops, threads), np.uint8)
    buffers = kernels.buffers_of([x.numpy(), *places, output])  # type: ignore[list-item]
    task = kernels.task(ops, buffers, scratch, batch=19, threads=threads, part=part)
    kernels.run(task)
    torch.testing.assert_close(torch.from_numpy(output), want)


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


@pytest.mark.parametrize(
    ("layout", "part", "step", "count", "why"),
    [
        (Layout.PLAIN, 4, 12, 24, ""),
        (Layout.PLAIN, -4, 12, 24, "bad argument"),
        (Layout.PLAIN, 0, 12, 24, "bad argument"),
        (Layout.PLAIN, 4, 11, 24, "small buffer"),
        (Layout.PLAIN, 4, 12, 23, "small buffer"),
        (Layout.LANES, 5, 1000, 2000, "bad argument"),
    ],
)
def test_parts_must_fit(layout: Layout, part: int, step: int, count: int, why: str) -> None:
    same = shape((3, 1, 1), (3, 1, 1))
    ops = kernels.array_of(
        [
            kernels.op(OpKind.RELU, same, input=0, output=1),
            kernels.op(OpKind.COPY, same, input=1, output=2, out_layout=layout),
        ]
    )
    x, y, between = (np.full(size, -1.0, dtype=np.float32) for size in (21, 24, 2000))
    buffers = kernels.buffers_of([x, (between.ctypes.data, count, step), y])
    scratch = memory.aligned(64, np.uint8)
    task = kernels.task(ops, buffers, scratch, batch=7, threads=2, part=part)
    if why:
        with pytest.raises(KernelError, match=why):
            kernels.run(task)
        assert (y == -1).all()
    else:
        kernels.run(task)
        assert y.tolist() == [0.0] * 21 + [-1.0] * 3


def run_raw(op: object, arrays: list[np.ndarray], batch: int = 1, room: int | None = None) -> None:
    ops = kernels.array_of([op])  # type: ignore[list-item]
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
    op = kernels.op(OpKind.RELU, shape((1, 1, 1), (1, 1, 1)), flags=Flag.NONE)
    op.kind = 99
    with pytest.raises(KernelError, match="bad argument"):
        run_raw(op, [np.zeros(1, dtype=np.float32)] * 2)


def test_a_layer_without_a_pack_is_refused() -> None:
    ops = kernels.array_of([kernels.op(OpKind.LINEAR, shape((3, 1, 1), (2, 1, 1)))])
    with pytest.raises(KernelError, match="planning the scratch memory: the plan is bad pack"):
        kernels.scratch_bytes(ops, 1)
