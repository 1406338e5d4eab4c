import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import platformdirs
import pytest
import torch

from secateur.cli import checkup as module
from secateur.cli.checkup import Finding, checkup
from secateur.data.idx import MNIST


def found(folder: Path) -> dict[str, Finding]:
    return {each.name: each for each in checkup(folder)}


def test_versions_are_those_that_are_loaded(tmp_path: Path) -> None:
    names = found(tmp_path)
    assert names["torch"].value == torch.__version__
    assert names["python"].value == ".".join(map(str, sys.version_info[:3]))
    assert all(each.state == "ok" for each in names.values() if each.section == "versions")


ASKED = ["torch>=2", "absent>=1", "onnx>=1.17; extra == 'export'", 'gone>=1; extra == "track"']
ASKED += ["pytest>=8; extra == 'dev'", "secateur[report]; extra == 'all'"]


def test_what_is_not_installed_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "requires", lambda _: ASKED)
    names = found(tmp_path)
    assert (names["absent"].section, names["absent"].state) == ("versions", "broken")
    gone = names["gone"]
    assert (gone.section, gone.state, gone.remedy) == (
        "extras",
        "missing",
        "pip install 'secateur[track]'",
    )
    assert "pytest" not in names


def test_a_checkout_that_is_not_installed_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: str) -> Any:
        raise PackageNotFoundError

    monkeypatch.setattr(module, "requires", absent)
    monkeypatch.setattr(module, "version", absent)
    names = found(tmp_path)
    assert names["secateur"].value == "not installed"
    assert names["torch"].state == "broken"


def test_a_library_that_does_not_load_is_broken_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> ModuleType:
        raise ImportError("libc10.so: no such file")

    monkeypatch.setattr(module, "import_module", load)
    names = found(tmp_path)
    assert names["torch"].state == "broken"
    assert "libc10.so" in names["torch"].value
    assert names["sparse kernels"].state == "missing"
    assert "libc10.so" in names["sparse kernels"].value


class Kernels(ModuleType):
    def __init__(self, reason: str) -> None:
        super().__init__("kernels")
        self.reason = reason

    def why_not(self) -> str:
        return self.reason

    def isa(self) -> str:
        return "avx2"

    def isas(self) -> list[str]:
        return ["portable", "avx2"]


@pytest.mark.parametrize(
    ("reason", "state", "value"),
    [("", "ok", "avx2, chosen of portable, avx2"), ("not built", "missing", "not built")],
)
def test_the_sparse_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, state: str, value: str
) -> None:
    real = module.import_module
    own = {"secateur.runtime.kernels.kernels": Kernels(reason)}
    monkeypatch.setattr(module, "import_module", lambda name: own.get(name) or real(name))
    kernels = found(tmp_path)["sparse kernels"]
    assert (kernels.state, kernels.value) == (state, value)


def test_without_a_compiler_nothing_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    compiler = found(tmp_path)["compiler"]
    assert (compiler.value, compiler.state) == ("none", "missing")
    assert "gcc" in compiler.remedy


def test_data_are_looked_for_where_the_loaders_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _: cache)
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path / "own"))
    names = found(tmp_path)
    assert names["SECATEUR_DATA"].value == str(tmp_path / "own")
    assert names["cache"].value == f"{cache / 'data'} (not made yet)"
    assert (names["mnist"].state, names["fashion-mini"].value) == ("missing", "embedded")
    for number, file in enumerate(MNIST):
        place = (tmp_path / "own", cache / "data")[number % 2] / "mnist"
        place.mkdir(parents=True, exist_ok=True)
        (place / file.name).touch()
    mnist = found(tmp_path)["mnist"]
    assert mnist.state == "ok"
    assert mnist.value == ", ".join(
        sorted(map(str, (tmp_path / "own" / "mnist", cache / "data" / "mnist")))
    )


def test_a_folder_that_is_not_there_yet_is_looked_at_where_it_would_be_made(
    tmp_path: Path,
) -> None:
    names = found(tmp_path / "not" / "yet")
    assert (names["writable"].state, names["free"].state) == ("ok", "ok")
    assert not (tmp_path / "not").exists()


def test_a_full_disk_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    free = found(tmp_path)["free"]
    assert (free.state, free.value) == ("broken", "0.0 GB")
    assert free.remedy
