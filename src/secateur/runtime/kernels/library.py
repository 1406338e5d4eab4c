"""Find the shared library, load it, and hand it the OpenMP runtime that torch runs on."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path

from secateur.errors import DeviceError, KernelError, UnknownNameError
from secateur.runtime.kernels.structs import ABI, KernelLayer, Op, PackInfo, Status, Task

ISA_VARIABLE = "SECATEUR_ISA"
ISAS = ("portable", "neon", "avx2", "avx512")
"""Every instruction set that there are kernels for, on whatever machine."""

_SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
FILE = "_secateur" + _SUFFIXES.get(sys.platform, ".so")
_RUNTIMES = ("libgomp", "libomp", "libiomp5")
_EXPECTED = {
    Status.BAD_ARGUMENT: "sizes, layouts and indices that fit together",
    Status.BAD_PACK: "an intact pack of this layer, made for the instruction set in use",
    Status.SMALL_BUFFER: "buffers as large as the ops need",
}
_ENTRIES = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


def available() -> bool:
    """Whether the native kernels can be used here; `why_not` says why if they can't.

    Raises:
        UsageError: `SECATEUR_ISA` asks for what there is not.
    """
    return not why_not()


@cache
def why_not() -> str:
    """Why there are no native kernels, in words; empty if there are.

    A wrong `SECATEUR_ISA` is no such reason: who asked for an instruction set would be given torch
    instead, without a word.

    Raises:
        UsageError: `SECATEUR_ISA` asks for what there is not.
    """
    try:
        library()
    except KernelError as error:
        return str(error)
    return ""


@cache
def library() -> ctypes.CDLL:
    """The loaded library, its functions declared.

    Raises:
        KernelError: It was not built (no C compiler when secateur was installed), does not load,
            or is of another version.
        UnknownNameError: `SECATEUR_ISA` is no instruction set.
        DeviceError: `SECATEUR_ISA` is one that this CPU cannot run.
    """
    asked = os.environ.get(ISA_VARIABLE, "").strip()
    if asked:
        check_isa(asked, ISA_VARIABLE)
    path = Path(__file__).parent / FILE
    if not path.exists():
        raise KernelError(
            "loading the sparse kernels",
            str(path),
            given="not there",
            expected="a shared library",
            remedy="Install secateur where a C compiler is found (Debian: apt install gcc).",
        )
    try:
        loaded = ctypes.CDLL(str(path))
        abi = loaded.secateur_abi()
    except (OSError, AttributeError) as error:
        raise KernelError(
            "loading the sparse kernels",
            str(path),
            given=f"unusable ({error})",
            expected="a shared library for this machine",
            remedy="Install secateur again on this machine.",
        ) from error
    if abi != ABI:
        raise KernelError(
            "loading the sparse kernels",
            str(path),
            given=f"version {abi}",
            expected=f"version {ABI}",
            remedy="Install secateur again: its Python and C parts are of two releases.",
        )
    _declare(loaded)
    if asked:
        switch(loaded, asked, ISA_VARIABLE)
    return loaded


def check_isa(name: str, subject: str) -> None:
    """Refuse what is the name of no instruction set.

    Raises:
        UnknownNameError: It is none; the nearest one is suggested.
    """
    if name not in ISAS:
        raise UnknownNameError(f"instruction set for {subject}", name, ISAS)


def isas_of(loaded: ctypes.CDLL) -> list[str]:
    """The instruction sets that this machine and build can run, the plainest first."""
    return [name for name in ISAS if loaded.secateur_has_isa(name.encode())]


def switch(loaded: ctypes.CDLL, name: str, subject: str) -> None:
    """Have the kernels of one instruction set run from now on.

    Args:
        loaded: The library.
        name: One of `ISAS`. `portable` is NEON on ARM, where every CPU has it.
        subject: What asked for it, for the error.

    Raises:
        UnknownNameError: It is no instruction set.
        DeviceError: This CPU or build has not got it.
    """
    check_isa(name, subject)
    here = isas_of(loaded)
    plainest = here[0]
    if loaded.secateur_use_isa((plainest if name == "portable" else name).encode()):
        raise DeviceError(
            "choosing an instruction set",
            subject,
            given=f"{name!r}, which this CPU does not run",
            expected=f"one that it does: {', '.join(here)}",
            remedy="Choose one of these, or none: the best is taken then.",
        )


def check(status: int, operation: str, subject: str) -> None:
    """Raise what a status of the C interface means.

    Args:
        status: What a function returned; 0 is fine.
        operation: What was being done, for the error.
        subject: With what.

    Raises:
        KernelError: The status is not 0.
    """
    if status:
        code = Status(status)
        raise KernelError(
            operation,
            subject,
            given=code.name.lower().replace("_", " "),
            expected=_EXPECTED[code],
            remedy="See src/secateur/runtime/kernels/secateur.h.",
        )


def _declare(loaded: ctypes.CDLL) -> None:
    signatures: dict[str, tuple[object, tuple[object, ...]]] = {
        "secateur_isa": (c_char_p, ()),
        "secateur_has_isa": (c_int32, (c_char_p,)),
        "secateur_use_isa": (c_int32, (c_char_p,)),
        "secateur_lanes": (c_int32, ()),
        "secateur_set_runtime": (c_int32, (c_void_p,) * 3),
        "secateur_pack_bytes": (c_int64, (POINTER(KernelLayer), c_void_p)),
        "secateur_pack": (c_int32, (POINTER(KernelLayer), c_void_p, c_void_p, c_void_p, c_int64)),
        "secateur_inspect": (c_int32, (c_void_p, c_int64, POINTER(PackInfo))),
        "secateur_scratch_bytes": (c_int64, (POINTER(Op), c_int32, c_int32)),
        "secateur_run": (c_int32, (POINTER(Task),)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments


def openmp() -> str | None:
    """The OpenMP runtime that the kernels run on, None if they run on the calling thread alone.

    It is torch's: a second pool of threads would fight it for the cores. Asked wherever work for
    threads is planned, since torch may be imported after the kernels were first used.
    """
    loaded = library()
    return _attach_openmp(loaded, False) or _attach_openmp(loaded, "torch._C" in sys.modules)


@cache
def _attach_openmp(loaded: ctypes.CDLL, torch_is_there: bool) -> str | None:
    """Tried once without torch and once with it; `torch_is_there` is only the cache's key."""
    del torch_is_there
    for path in loaded_runtimes():
        try:
            runtime = ctypes.CDLL(path)
            entries = [ctypes.cast(getattr(runtime, name), c_void_p) for name in _ENTRIES]
        except (OSError, AttributeError):
            continue
        loaded.secateur_set_runtime(*entries)
        return path
    return None


def loaded_runtimes() -> list[str]:
    """The OpenMP runtimes in this process, torch's first; none where /proc does not list them."""
    try:
        maps = os.fsdecode(Path("/proc/self/maps").read_bytes())
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[5] for line in maps.split("\n") if "/" in line}
    found = [path for path in paths if Path(path).name.startswith(_RUNTIMES)]
    return sorted(found, key=lambda path: ("torch" not in path, path))
