"""Finding and loading the library, and what is said if there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secateur.errors import KernelError
from secateur.native import library
from secateur.native.structs import Status


def fresh(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(library, "__file__", str(folder / "library.py"))


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh(monkeypatch, tmp_path)
    with pytest.raises(KernelError, match=r"is not there, expected a shared library.*compiler"):
        library.library.__wrapped__()


def test_a_broken_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / library.FILE).write_text("no library")
    fresh(monkeypatch, tmp_path)
    with pytest.raises(KernelError, match="is unusable"):
        library.library.__wrapped__()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if not library.available():
        pytest.skip(library.why_not())
    monkeypatch.setattr(library, "ABI", library.ABI + 1)
    with pytest.raises(KernelError, match=f"is version {library.ABI - 1}, expected version"):
        library.library.__wrapped__()


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_instruction_set_can_be_forced() -> None:
    if not library.available():
        pytest.skip(library.why_not())
    from secateur.native import kernels

    lowest = kernels.isas()[0]
    done = run("from secateur.native import kernels; print(kernels.isa())", SECATEUR_ISA=lowest)
    assert done.stdout.strip() == lowest


def test_one_that_is_not_there_is_an_error() -> None:
    if not library.available():
        pytest.skip(library.why_not())
    code = "from secateur.native import library; print(library.why_not())"
    assert "SECATEUR_ISA is 'mmx'" in run(code, SECATEUR_ISA="mmx").stdout


def test_the_kernels_need_no_torch() -> None:
    code = "import sys; from secateur.native import kernels; sys.exit('torch' in sys.modules)"
    assert run(code).returncode == 0


def test_torchs_openmp_comes_first() -> None:
    import torch

    found = library.loaded_runtimes()
    if sys.platform == "linux" and torch.backends.openmp.is_available():
        assert found
        assert "torch" in found[0]


WORDS = {
    Status.BAD_ARGUMENT: "packing: the layer is bad argument, expected sizes, layouts",
    Status.BAD_PACK: "packing: the layer is bad pack, expected an intact pack",
    Status.SMALL_BUFFER: "packing: the layer is small buffer, expected buffers as large",
}


@pytest.mark.parametrize("status", [status for status in Status if status])
def test_every_status_is_said_in_words(status: Status) -> None:
    with pytest.raises(KernelError, match=WORDS[status]):
        library.check(int(status), "packing", "the layer")


def test_a_call_that_went_well_is_no_error() -> None:
    library.check(Status.OK, "packing", "the layer")


def test_why_not_is_what_the_error_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh(monkeypatch, tmp_path)
    monkeypatch.setattr(library, "library", library.library.__wrapped__)
    monkeypatch.setattr(library, "why_not", library.why_not.__wrapped__)
    assert str(tmp_path / library.FILE) in library.why_not()
    assert not library.available()
