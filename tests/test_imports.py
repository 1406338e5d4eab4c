"""Imports run one way: a room may look at those above it, never below."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import secateur

ROOT = Path(secateur.__file__).parent

# From the words, which know nothing, down to the command, which knows everything.
ROOMS = (
    "errors",
    "cores",
    "registry",
    "spec",
    "point",
    "markup",
    "example",
    "models",
    "data",
    "pruning",
    "channels",
    "masking",
    "training",
    "measure",
    "native",
    "sparse",
    "engine",
    "artifact",
    "study",
    "report",
    "tracking",
    "sweeping",
    "studies",
    "cli",
    "__main__",
)
WITHOUT_TORCH = (
    *(
        "errors",
        "cores",
        "registry",
        "spec",
        "point",
        "markup",
        "report",
        "tracking",
        "sweeping",
        "studies",
    ),
)
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room is meant"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "secateur" and len(parts) > 1 and parts[1] in ROOMS:
                found.add(parts[1])
    return found


def test_the_check_sees_every_form_of_import():
    source = "import secateur.data.images\nfrom secateur.study import plan\ndef f():\n"
    source += "    from secateur import models\n"
    assert imported_rooms(source) == {"data", "study", "models"}


def test_every_room_is_in_the_list():
    assert {room_of(path) for path in MODULES} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_upwards_only(path):
    room = room_of(path)
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    below = imported_rooms(path.read_text()) - allowed
    assert not below, f"{room} must not look at {', '.join(sorted(below))}"


@pytest.mark.parametrize("module", ["secateur", *(f"secateur.{room}" for room in WITHOUT_TORCH)])
def test_words_need_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there_and_nothing_optional_comes_with_it():
    code = (
        "import sys, secateur\n"
        "assert all(getattr(secateur, name) for name in secateur.__all__)\n"
        "sys.exit(bool({'matplotlib', 'onnx', 'onnxruntime', 'mlflow', 'ray'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="prunes"):
        secateur.prunes  # noqa: B018
