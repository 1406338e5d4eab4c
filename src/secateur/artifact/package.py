"""Package: a network in a folder that runs it without torch: numpy and the kernels, or C alone."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import secateur
from secateur.artifact.calling import drawn
from secateur.artifact.path import checked_path
from secateur.errors import ArtifactError, UsageError
from secateur.foundation.run_example import Inputs, moved
from secateur.runtime.compiler.portable import OPERATION, portable_plan
from secateur.runtime.compiler.whole import serving_copy
from secateur.runtime.kernels.kernels import lanes
from secateur.runtime.kernels.library import FILE, library
from secateur.runtime.portable.net import Net
from secateur.runtime.portable.plan_file import encode

TOLERANCE = 1e-4
PLAN = "net.plan"
RUNTIME = "secateur_runtime"

_KERNELS = "runtime/kernels"
_PORTABLE = "runtime/portable"
_SOURCES = (
    "errors.py",
    "runtime/__init__.py",
    *(f"{_KERNELS}/{name}.py" for name in ("__init__", "structs", "memory", "library")),
    *(f"{_KERNELS}/{name}.py" for name in ("packs", "kernels")),
    *(f"{_PORTABLE}/{name}.py" for name in ("__init__", "plan_file", "net")),
)
"""What runs a plan file. None of it imports torch."""

_IMPORT = re.compile(r"^(\s*(?:from|import|>>> from) )secateur\b", re.MULTILINE)
_ENTRY = '''"""Runs what `secateur package` wrote, with numpy and the kernels beside this file."""

from {runtime}.runtime.portable.net import Net

__all__ = ["Net"]
__version__ = "{version}"
'''
_README = """# {name}

A network written by `secateur package`. It takes float32 of the shape {inputs} (N: the batch) and
gives {outputs}. The kernels in it are built for {platform}.

In Python, with numpy alone:

    import numpy
    from secateur_runtime import Net

    net = Net("net.plan")
    net(numpy.zeros({one}, numpy.float32))

In C, without Python: see the head of `run.c`.
"""


def package(
    model: nn.Module,
    example: Inputs,
    folder: str | os.PathLike[str],
    *,
    tolerance: float = TOLERANCE,
) -> Path:
    """Write a network into a folder that runs it without torch.

    In it lie the network (`net.plan`, for any instruction set), the kernels as they were built for
    this kind of machine, the little Python that runs them with numpy (`secateur_runtime`), and a
    C program that does the same. Before the folder takes its name it is run beside the network,
    on random inputs in batches of 1, 7 and enough to fill the vectors.

    Args:
        model: A network of one tensor in and one out, whose every operator the kernels have. It is
            left as it was.
        example: A batch `[N, ...]` that it accepts.
        folder: Where; it is made, and must not hold anything.
        tolerance: The largest difference allowed, as a share of the largest output (of 1, if that
            is less).

    Returns:
        The folder.

    Raises:
        ModelError: An operator has no kernel; the message names it. Or it fails on the example.
        ArtifactError: The package differs from the network, or cannot be written.
        UsageError: There is something in the folder already.
        KernelError: There are no kernels here.

    Example:
        >>> folder = package(nn.Linear(4, 2), torch.zeros(1, 4), tempfile.mkdtemp())
        >>> sorted(one.name for one in folder.iterdir())
        ['README.md', 'net.plan', 'run.c', 'secateur.h', 'secateur_plan.h', 'secateur_runtime']
        >>> Net(folder / "net.plan")(np.zeros((3, 4), np.float32)).shape
        (3, 2)
    """
    place = checked_path(folder, OPERATION)
    check_folder(place)
    library()
    content = encode(portable_plan(model, example))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, so that it is given its name at once.
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".package-") as made:
            partial = Path(made, "package")
            _fill(partial, content, place.name)
            _check_equal(model, example, partial / PLAN, tolerance)
            partial.replace(place)
    except OSError as error:
        raise ArtifactError(
            OPERATION,
            str(place),
            given=f"not writable ({error.strerror or error})",
            expected="a folder with room for it",
            remedy="Name another folder, or free the disk; nothing was written.",
        ) from error
    return place


def check_folder(place: Path) -> None:
    """Refuse a place in which something lies, before a network is built for it.

    Raises:
        UsageError: It is a file, or a folder that is not empty.
    """
    if place.is_dir():
        given = "a folder that is not empty" if any(place.iterdir()) else ""
    else:
        given = "a file" if os.path.lexists(place) else ""
    if given:
        raise UsageError(
            OPERATION,
            str(place),
            given=given,
            expected="a new folder, or an empty one",
            remedy="Name another folder, or remove what is there; nothing was written.",
        )


def _fill(folder: Path, content: bytes, name: str) -> None:
    source, runtime = Path(secateur.__file__).parent, folder / RUNTIME
    for path in _SOURCES:
        target = runtime / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (source / path).read_text(encoding="utf-8")
        target.write_text(_IMPORT.sub(rf"\g<1>{RUNTIME}", text), encoding="utf-8")
    entry = _ENTRY.format(runtime=RUNTIME, version=secateur.__version__)
    (runtime / "__init__.py").write_text(entry, encoding="utf-8")
    shutil.copyfile(source / _KERNELS / FILE, runtime / _KERNELS / FILE)
    shutil.copyfile(source / _KERNELS / "secateur.h", folder / "secateur.h")
    for name in ("run.c", "secateur_plan.h"):
        shutil.copyfile(source / _PORTABLE / name, folder / name)
    (folder / PLAN).write_bytes(content)
    (folder / "README.md").write_text(_readme(folder / PLAN, name), encoding="utf-8")


def _readme(plan: Path, name: str) -> str:
    net = Net(plan)
    return _README.format(
        name=name,
        inputs=_shape(net.inputs),
        outputs=_shape(net.outputs),
        one=(1, *net.inputs),
        platform=f"{platform.system()} on {platform.machine()}",
    )


def _shape(sizes: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, ('N', *sizes)))}]"


def _check_equal(model: nn.Module, example: Inputs, plan: Path, tolerance: float) -> None:
    run: Callable[[np.ndarray], np.ndarray] = Net(plan)
    net = serving_copy(model)
    for batch in (1, 7, 2 * lanes()):
        (inputs,) = drawn(moved(example, "cpu"), batch)
        with torch.no_grad():
            expected = net(inputs.clone())
        given = torch.from_numpy(run(inputs.numpy()))
        allowed = tolerance * max(1.0, float(expected.abs().max()))
        apart = float((given - expected).abs().max()) if given.shape == expected.shape else None
        if apart is None or not apart <= allowed:
            raise ArtifactError(
                OPERATION,
                f"the package on a batch of {batch}",
                given=f"{tuple(given.shape)}" if apart is None else f"{apart:.2g} away",
                expected=f"{tuple(expected.shape)}, at most {allowed:.2g} away",
                remedy="Nothing was written. Pass a larger tolerance if such a difference is small "
                "for this network.",
            )
