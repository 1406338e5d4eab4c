"""Imports run one way: a room looks only at rooms above it, and no two files look at each other."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import secateur

ROOT = Path(secateur.__file__).parent

# From the words, which know nothing, down to the command, which knows everything. A file belongs
# to the longest name that it begins with.
ROOMS = (
    "errors",
    "foundation",
    "registry",
    "settings",
    "training_settings",
    "version_settings",
    "tuning_settings",
    "spec",
    "point",
    "models",
    "data",
    "pruning",
    "channels.labels",
    "channels",
    "channels.operators",
    "channels.tracing",
    "channels.branches",
    "channels.trace",
    "channels.compaction",
    "channels.__init__",
    "verbs.__init__",
    "verbs.left_out",
    "verbs.units",
    "verbs.cut_inputs",
    "verbs.cut_alone",
    "verbs.repair",
    "tasks",
    "training",
    "measure",
    "runtime.__init__",
    "runtime.kernels",
    "runtime.portable",
    "runtime.layers",
    "runtime.compiler",
    "artifact",
    "verbs.target",
    "verbs.prune",
    "study",
    "tuning",
    "yardsticks",
    "report",
    "tracking",
    "remote",
    "verbs.sensitivity",
    "verbs.study_arguments",
    "verbs.sweep",
    "verbs.tune",
    "integrations",
    "cli",
    "__main__",
)
WITHOUT_TORCH = (
    *(
        "errors",
        "registry",
        "settings",
        "training_settings",
        "tuning_settings",
        "version_settings",
        "spec",
        "point",
    ),
    *("foundation.threads", "foundation.html"),
    *("foundation.level_text", "foundation.atomic_write"),
    *("report", "tracking", "remote.copy", "remote.fetch", "verbs.sweep", "verbs.tune"),
    *("study.presets", "tuning.record", "yardsticks.table"),
    *("runtime.kernels.kernels", "runtime.portable.net"),
)
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
KERNELS = ROOT / "runtime" / "kernels"
C_FILES = sorted(path for path in KERNELS.iterdir() if path.suffix in {".c", ".h"})


def name_of(path: Path) -> str:
    """`channels.labels.events`; a package is its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


NAMES = {name_of(path): path for path in MODULES}


def room_of(name: str) -> str:
    """The longest room that a file's name begins with."""
    inside = [room for room in ROOMS if name == room or name.startswith(f"{room}.")]
    return max(inside, key=len)


def imported(source: str) -> set[str]:
    """The files of secateur that some code imports, wherever it does and for whatever."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room is meant"
            names = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in names:
            package, _, inside = module.partition(".")
            if package == "secateur":
                found |= _files(inside, name)
    return found


def _files(module: str, name: str) -> set[str]:
    whole = ".".join(part for part in (module, name) if part)
    tried = (whole, f"{whole}.__init__", module, f"{module}.__init__")
    return set([known for known in tried if known in NAMES][:1])


def included(source: str) -> set[str]:
    return set(re.findall(r'^\s*#\s*include\s+"([^"]+)"', source, re.MULTILINE))


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    """The names of a circle, or nothing."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def upward(edges: Mapping[str, set[str]]) -> Iterator[str]:
    """Which file looks at a room below its own."""
    for name, others in edges.items():
        for other in sorted(others):
            if ROOMS.index(room_of(other)) > ROOMS.index(room_of(name)):
                yield f"{name} looks at {other}"


EDGES = {name: imported(path.read_text()) - {name} for name, path in NAMES.items()}


def test_the_check_sees_every_form_of_import():
    source = "import secateur.data.images\nfrom secateur.study import plan\ndef f():\n"
    source += (
        "    from secateur import models\nif TYPE_CHECKING:\n    from secateur.cli import app\n"
    )
    source += "from secateur.errors import SpecError\nimport os\n"
    expected = {"data.images", "study.plan", "models.__init__", "cli.app", "errors"}
    assert imported(source) == expected
    assert imported("from secateur.models.vgg import VGG") == {"models.vgg"}


def test_every_file_is_in_a_room():
    assert all(room_of(name) for name in NAMES)
    assert set(ROOMS) == {room_of(name) for name in NAMES}


def test_imports_run_one_way():
    assert not list(upward(EDGES))


def test_no_two_files_look_at_each_other():
    assert not circle(EDGES)


def test_a_planted_import_the_wrong_way_is_seen():
    planted = EDGES | {"data.images": EDGES["data.images"] | {"study.plan"}}
    assert "data.images looks at study.plan" in list(upward(planted))


def test_a_planted_circle_is_seen():
    planted = {"errors": {"registry"}, "registry": EDGES["registry"]}
    assert {"errors", "registry"} == set(circle(planted))


def test_headers_run_one_way():
    edges = {path.name: included(path.read_text()) for path in C_FILES}
    assert not circle(edges)
    assert circle(edges | {"secateur.h": {"op.h"}})


def declared(source: str) -> set[str]:
    """The functions that a header promises; what is inline in it is its own."""
    code = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    pattern = r"^(?!static|typedef|extern)\w[\w *]*\b(\w+)\([^;{]*\);"
    return set(re.findall(pattern, code, re.MULTILINE))


def test_a_header_promises_what_its_own_file_defines():
    """But for `secateur.h`, which is the interface of the library as a whole."""
    for header in (path for path in C_FILES if path.suffix == ".h" and path.name != "secateur.h"):
        promised = declared(header.read_text())
        body = header.with_suffix(".c")
        defined = body.read_text() if body.exists() else header.read_text()
        assert [
            name for name in promised if not re.search(rf"\b{name}\([^;]*?\)\s*{{", defined)
        ] == []


def test_a_promise_is_seen():
    assert declared("/* f(); */\nint32_t check_op(const op *op);\nstatic int g(void);") == {
        "check_op"
    }


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
