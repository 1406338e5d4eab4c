import json
import os
import platform
from pathlib import Path

import numpy as np
import pytest
import torch

import secateur.measure.environment as module
from secateur.measure.environment import environment


def test_keys_and_versions() -> None:
    found = environment()
    assert list(found) == [
        "secateur",
        "python",
        "torch",
        "numpy",
        "system",
        "cpu",
        "instruction_set",
        "cores",
        "threads",
        "device",
    ]
    assert found["python"] == platform.python_version()
    assert (found["torch"], found["numpy"]) == (torch.__version__, np.__version__)
    assert all(found.values())


def test_values_are_plain_text_that_json_takes() -> None:
    found = environment()
    assert json.loads(json.dumps(found)) == found


def test_threads_are_the_ones_in_use() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        assert environment()["threads"] == str(before + 1)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_cores_are_those_this_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert environment()["cores"] == "1"
    finally:
        os.sched_setaffinity(0, before)


def test_the_cpu_is_read_from_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast CPU: 3 GHz\nmodel name\t: other\n")
    monkeypatch.setattr(module, "_CPUINFO", cpuinfo)
    assert environment()["cpu"] == "Fast CPU: 3 GHz"


@pytest.mark.parametrize("text", [None, "processor\t: 0\n"])
def test_a_cpu_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if text is not None:
        cpuinfo.write_text(text)
    monkeypatch.setattr(module, "_CPUINFO", cpuinfo)
    assert environment()["cpu"] == (platform.processor() or platform.machine())


def test_a_source_tree_that_is_not_installed() -> None:
    assert module._version("no-package-has-this-name") == "not installed"


def test_device_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment("meta")["device"] == "meta"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert environment(torch.device("cuda", 1))["device"] == "GPU 1"


def test_several_devices_are_counted_and_one_is_not() -> None:
    assert environment(devices=2)["devices"] == "2"
    assert environment(devices=1) == environment()
