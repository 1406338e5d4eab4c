from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from secateur.errors import DeviceError
from secateur.training.device import fabric_for, resolve_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_a_gpu_that_is_absent_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=rf"'{name}' is absent \(0 CUDA devices are visible\)"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "cdua", "", "cuda:x"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="no device that torch knows"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["meta", "xla"])
def test_other_devices_are_not_supported(name: str) -> None:
    with pytest.raises(DeviceError, match="not supported"):
        resolve_device(name)


def test_auto_is_the_first_gpu_or_the_cpu() -> None:
    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert str(resolve_device()) == expected
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("given", "plugin"), [("auto", "32-true"), ("32", "32-true"), ("bf16", "bf16-mixed")]
)
def test_precision_on_a_cpu(given: str, plugin: str) -> None:
    assert fabric_for(torch.device("cpu"), given)._precision.precision == plugin


def test_half_precision_on_a_cpu_is_refused() -> None:
    with pytest.raises(DeviceError, match="16 on a CPU"):
        fabric_for(torch.device("cpu"), "16")


SUBNORMALS = """
import torch
if {prepare}:
    from secateur.training.device import prepare_process
    prepare_process(2)
else:
    torch.set_num_threads(2)
assert torch.get_num_threads() == 2
small = torch.full((4_000_000,), 2e-38)   # normal: the smallest is 1.18e-38
tiny = small * 0.25                       # 5e-39: subnormal
print(int(tiny.count_nonzero()))
print(int((small / 4).count_nonzero()))
tiny = torch.full((1000, 1000), 1e-25) @ torch.full((1000, 1000), 1e-20)
print(int(tiny.count_nonzero()))
"""


def count_subnormals(prepare: bool) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", SUBNORMALS.format(prepare=prepare)],
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("OMP", "MKL", "KMP"))},
    )
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush subnormals"
)
def test_subnormals_are_flushed_in_every_thread() -> None:
    assert count_subnormals(prepare=True) == [0, 0, 0]


@pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush subnormals"
)
def test_without_it_subnormals_are_there() -> None:
    assert count_subnormals(prepare=False)[:2] == [4_000_000, 4_000_000]


PREPARED = """
import os, torch
from secateur.training.device import prepare_process
threads = torch.get_num_threads()
prepare_process()
print(torch.get_num_threads() == threads)
prepare_process(3)
print(torch.get_num_threads() == 3)
print(torch.are_deterministic_algorithms_enabled())
print(torch.is_deterministic_algorithms_warn_only_enabled())
print(not torch.backends.cudnn.benchmark)
print(not torch.utils.deterministic.fill_uninitialized_memory)
print(os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8")
"""


def test_a_process_is_prepared() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREPARED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True"] * 7
