"""The checkup: what this machine has of what secateur needs or can use.

Everything is looked at from outside and nothing is downloaded. Whatever fails to load becomes a
finding with its reason, so that a broken installation can still be told what is wrong with it.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from secateur.errors import SecateurError

State = Literal["ok", "missing", "broken"]

_ROOM = 200_000_000
_FLAGS = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512vl", "amx_tile", "asimd", "sve")
_OWN_EXTRAS = ("all", "dev", "docs")
_PROBE_SECONDS = 20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        section: `versions`, `extras`, `devices`, `native`, `data` or `folder`.
        name: What it is.
        value: What was found.
        state: `missing` is something that can be done without; `broken` is not.
        remedy: What to do about it; empty where there is nothing to do.
    """

    section: str
    name: str
    value: str
    state: State = "ok"
    remedy: str = ""


def checkup(folder: Path) -> list[Finding]:
    """Look at everything.

    Args:
        folder: Where runs are going to be written.
    """
    return [
        *_versions(),
        *_extras(),
        *_devices(),
        *_native(),
        *_data(),
        *_folder(folder),
    ]


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "secateur", _version("secateur") or "not installed")
    yield Finding("versions", "python", platform.python_version())
    yield Finding(
        "versions", "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    )
    for package in _packages().get("", []):
        # Those two are libraries of machine code, which may be there and not load.
        module = package if package in ("torch", "numpy") else ""
        yield _package(package, module, "versions", "broken", "pip install --upgrade secateur")


def _extras() -> Iterator[Finding]:
    for extra, packages in _packages().items():
        for package in packages if extra and extra not in _OWN_EXTRAS else ():
            remedy = f"pip install 'secateur[{extra}]'"
            yield _package(package, "", "extras", "missing", remedy)


def _package(package: str, module: str, section: str, without: State, remedy: str) -> Finding:
    found = _version(package)
    if found is None:
        return Finding(section, package, "not installed", without, remedy)
    try:
        loaded = import_module(module) if module else None
    except Exception as error:
        return Finding(section, package, f"{found}, fails to load: {error}", "broken", remedy)
    return Finding(section, package, getattr(loaded, "__version__", found))


def _packages() -> Mapping[str, list[str]]:
    """What secateur asks for, by the extra that asks for it; under no name, what it needs."""
    found: dict[str, list[str]] = {"": []}
    try:
        lines = requires("secateur") or []
    except PackageNotFoundError:
        return {"": ["torch", "numpy"]}
    for line in lines:
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", line)
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if name and name[0] != "secateur":
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> Iterator[Finding]:
    try:
        import torch

        from secateur.measure.environment import environment

        machine = environment()
    except Exception as error:
        yield Finding("devices", "cpu", f"unknown: torch fails to load ({error})", "broken")
        return
    yield Finding("devices", "cpu", machine["cpu"])
    yield Finding("devices", "cores", f"{machine['cores']}, torch uses {machine['threads']}")
    flags = _cpu_flags()
    yield Finding("devices", "instructions", " ".join(flags) if flags else "unknown")
    count = torch.cuda.device_count()
    for index in range(count):
        about = torch.cuda.get_device_properties(index)
        gigabytes = about.total_memory / 2**30
        yield Finding("devices", f"cuda:{index}", f"{about.name}, {gigabytes:.0f} GiB")
    if not count:
        yield Finding("devices", "cuda", "none", "missing")
    has_mps = torch.backends.mps.is_available()
    yield Finding(
        "devices", "mps", "present" if has_mps else "none", "ok" if has_mps else "missing"
    )


def _cpu_flags() -> list[str]:
    """The vector instructions of this CPU, as Linux names them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    there = set(line[1].split()) if line else set()
    return [flag for flag in _FLAGS if flag in there]


def _native() -> Iterator[Finding]:
    yield _compiler()
    try:
        kernels: Any = import_module("secateur.runtime.kernels.kernels")
        reason = kernels.why_not()  # which names its remedy
        value = reason or f"{kernels.isa()}, {_chosen()} {', '.join(kernels.isas())}"
    except SecateurError as error:  # SECATEUR_ISA: every command that needs the kernels refuses it
        yield Finding("native", "sparse kernels", str(error), "broken")
        return
    except Exception as error:
        reason = value = f"{type(error).__name__}: {error}"
    yield Finding("native", "sparse kernels", value, "missing" if reason else "ok")


def _chosen() -> str:
    return "by SECATEUR_ISA, of" if os.environ.get("SECATEUR_ISA", "").strip() else "chosen of"


def _compiler() -> Finding:
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    path = next((found for name in names if name and (found := shutil.which(name))), None)
    if path is None:
        remedy = "Only needed to build the sparse kernels. Debian: apt install gcc"
        return Finding("native", "compiler", "none", "missing", remedy)
    try:
        told = subprocess.run(
            [path, "--version"], capture_output=True, timeout=_PROBE_SECONDS, check=False
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("native", "compiler", f"{path}: {error}", "missing")
    return Finding("native", "compiler", f"{path}: {(told.splitlines() or ['unknown'])[0]}")


def _data() -> Iterator[Finding]:
    import platformdirs

    chosen = os.environ.get("SECATEUR_DATA")
    cache = platformdirs.user_cache_path("secateur") / "data"
    yield Finding("data", "SECATEUR_DATA", chosen or "not set", "ok" if chosen else "missing")
    yield Finding("data", "cache", f"{cache}{'' if cache.is_dir() else ' (not made yet)'}")
    try:
        from secateur.data.cifar import CIFAR10
        from secateur.data.idx import DEBIAN_FASHION_MNIST, FASHION_MNIST, MNIST
    except Exception as error:
        yield Finding("data", "data sets", f"unknown: {error}", "broken")
        return
    own = [Path(os.path.expanduser(chosen))] if chosen else []
    yield Finding("data", "fashion-mini", "embedded")
    sets = {"fashion-mnist": FASHION_MNIST, "mnist": MNIST, "cifar10": (CIFAR10,)}
    for name, files in sets.items():
        places = [place / name for place in (*own, cache)]
        if name == "fashion-mnist":
            places.append(DEBIAN_FASHION_MNIST)
        held = [next((p for p in places if (p / file.name).is_file()), None) for file in files]
        if None in held:
            yield Finding("data", name, "not here; downloaded when it is needed", "missing")
        else:
            yield Finding("data", name, ", ".join(sorted({str(place) for place in held})))


def _folder(folder: Path) -> Iterator[Finding]:
    """Whether runs can be written: in the folder, or where it would be made."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    remedy = "Give sweeps another folder with --out, or free this one."
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        yield Finding("folder", "writable", str(folder))
    except OSError as error:
        why = f"{there}: {error.strerror}"
        yield Finding("folder", "writable", why, "broken", remedy)
    free = shutil.disk_usage(there).free
    state: State = "ok" if free >= _ROOM else "broken"
    yield Finding("folder", "free", f"{free / 1e9:.1f} GB", state, "" if state == "ok" else remedy)
