"""Finding and loading the library, and what is said if there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from secateur.errors import DeviceError, KernelError, UnknownNameError
from secateur.runtime.kernels import library
from secateur.runtime.kernels.structs import Status


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
    from secateur.runtime.kernels import kernels

    lowest = kernels.isas()[0]
    done = run(
        "from secateur.runtime.kernels import kernels; print(kernels.isa())", SECATEUR_ISA=lowest
    )
    assert done.stdout.strip() == lowest


def test_an_unknown_one_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECATEUR_ISA", "avx521")
    monkeypatch.setattr(library, "library", library.library.__wrapped__)
    for ask in (library.library, library.why_not.__wrapped__):
        with pytest.raises(UnknownNameError, match=r"SECATEUR_ISA is 'avx521'.*mean 'avx512'\?"):
            ask()


def test_one_that_the_cpu_has_not_is_refused_with_those_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not library.available():
        pytest.skip(library.why_not())
    here = library.isas_of(library.library())
    absent = next(name for name in reversed(library.ISAS) if name not in (*here, "portable"))
    monkeypatch.setenv("SECATEUR_ISA", absent)
    with pytest.raises(DeviceError, match=f"SECATEUR_ISA is '{absent}'.*: {', '.join(here)}"):
        library.library.__wrapped__()


def test_portable_is_taken_everywhere_and_nothing_else_is_guessed() -> None:
    class Arm:
        """A library that has NEON alone."""

        used: ClassVar[list[bytes]] = []

        def secateur_has_isa(self, name: bytes) -> int:
            return name == b"neon"

        def secateur_use_isa(self, name: bytes) -> int:
            self.used.append(name)
            return name != b"neon"

    library.switch(Arm(), "portable", "SECATEUR_ISA")
    with pytest.raises(DeviceError, match="one that it does: neon"):
        library.switch(Arm(), "avx2", "SECATEUR_ISA")
    assert Arm.used == [b"neon", b"avx2"]


@pytest.mark.parametrize("nothing", ["", " "])
def test_nothing_is_no_choice(nothing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECATEUR_ISA", nothing)
    if library.available():
        library.library.__wrapped__()


def test_the_kernels_need_no_torch() -> None:
    code = (
        "import sys; from secateur.runtime.kernels import kernels; sys.exit('torch' in sys.modules)"
    )
    assert run(code).returncode == 0


def test_torchs_openmp_comes_first() -> None:
    import torch

    found = library.loaded_runtimes()
    if sys.platform == "linux" and torch.backends.openmp.is_available():
        assert found
        assert "torch" in found[0]


def test_torch_may_come_after_the_kernels() -> None:
    """The tests themselves are such a case: their fixtures ask for the instruction sets first."""
    if not library.available():
        pytest.skip(library.why_not())
    code = (
        "from secateur.runtime.kernels import kernels, library\n"
        "kernels.isa(), library.openmp()\n"
        "import torch\n"
        "print(library.openmp())"
    )
    import torch

    if sys.platform == "linux" and torch.backends.openmp.is_available():
        assert "torch" in run(code).stdout
        assert "torch" in str(library.openmp())


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
