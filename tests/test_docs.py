"""The guide says what is: its Python runs, its commands and studies are real, it is complete."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import typer.main

import secateur
from secateur import registry
from secateur.cli import app
from secateur.point import Point
from secateur.spec import StudySpec, check_study
from secateur.training_settings import TrainingSpec

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXT = {page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}

# Its Python loads a file that its commands have made: run with them, in test_readme.py.
RUN_WITH_COMMANDS = {"start.md"}


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """The line at which each block begins, and its text."""
    found = re.finditer(rf"^```{language}\n(.*?)^```$", TEXT[page], re.S | re.M)
    return [(TEXT[page][: one.start(1)].count("\n"), one[1]) for one in found]


def named_block(page: str, name: str) -> str:
    return re.search(rf":name: {name}\n\n(.*?)^```$", TEXT[page], re.S | re.M)[1]


def commands() -> list[tuple[str, str]]:
    lines = [
        (page, line)
        for page in TEXT
        for _, block in blocks(page, "console")
        for line in re.findall(r"^\$ (secateur\b.*)$", block, re.M)
    ]
    return list(dict.fromkeys(lines))


def run_block(page: str, line: int, code: str, names: dict[str, object]) -> None:
    """Run a block; what its `print(...)  # text` lines promise must be printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * line + code, str(DOCS / page), "exec"), names)
    for promised in re.findall(r"^\s*print\(.*\)  # (.*)$", code, re.M):
        assert promised in printed.getvalue()


PAGES_WITH_PYTHON = [
    page for page in TEXT if blocks(page, "python") and page not in RUN_WITH_COMMANDS
]


@pytest.mark.parametrize("page", PAGES_WITH_PYTHON)
def test_python_runs(page, tmp_path, monkeypatch):
    if "transformers" in TEXT[page]:
        pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    for table in (registry.CRITERIA, registry.METHODS):
        monkeypatch.setattr(table, "_own", dict(table._own))
    names: dict[str, object] = {"__name__": "__main__"}
    for line, code in blocks(page, "python"):
        run_block(page, line, code, names)


def test_a_broken_promise_is_noticed():
    with pytest.raises(AssertionError):
        run_block("page", 0, "print(1)  # 2\n", {})


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_are_real(page, line):
    """Each is a command with these options, and the values are of the right kind."""
    _, name, *rest = shlex.split(line.partition(" | ")[0])
    if name.startswith("--"):
        assert name in typer.main.get_command(app).get_help(_context())
        return
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, rest)


def _context():
    return typer.main.get_command(app).make_context("secateur", ["methods"])


STUDIES = [(page, line, text) for page in TEXT for line, text in blocks(page, "toml")]


@pytest.mark.parametrize(("page", "line", "text"), STUDIES)
def test_study_files_are_studies(page, line, text):
    check_study(tomllib.loads(text), f"{page}:{line}")


def test_the_complete_study_file_is_complete():
    text = blocks("study-file.md", "toml")[0][1]
    study = tomllib.loads(re.sub(r"^# (?=[a-z_]+ =)", "", text, flags=re.M))
    assert set(study) == set(StudySpec.model_fields)
    assert set(study["training"]) == set(TrainingSpec.model_fields)
    assert set(study["methods"]) == set(registry.METHODS)
    said = {option for options in study["methods"].values() for option in options}
    methods = registry.METHODS.values()
    assert said == {name for method in methods for name in method.options.model_fields}
    defaults = TrainingSpec()
    for option, value in tomllib.loads(text)["training"].items():
        assert getattr(defaults, option) == (tuple(value) if isinstance(value, list) else value)


def test_every_public_name_is_in_the_reference(site):
    page = (site / "api.html").read_text()
    assert [name for name in secateur.__all__ if f'id="secateur.{name}"' not in page] == []


@pytest.mark.parametrize("kind", ["METHODS", "MODELS", "DATASETS", "CRITERIA", "ALLOCATIONS"])
def test_what_is_registered_is_in_the_guide(kind, site):
    guide = "".join((site / f"{page}.html").read_text() for page in ("methods", "study-file"))
    assert [name for name in getattr(registry, kind) if name not in guide] == []


def test_every_method_is_explained():
    assert [name for name in registry.METHODS if f"`{name}`" not in TEXT["methods.md"]] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The guide as `make docs` builds it; CI builds it nowhere else."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("sphinx")
        pytest.importorskip("furo")
    folder = tmp_path_factory.mktemp("site")
    options, source, target = re.search(
        r"^\t\$\(BIN\)/sphinx-build (.*) (\S+) (\S+)$", (ROOT / "Makefile").read_text(), re.M
    ).groups()
    assert (options.split()[0], source, target) == ("-W", "docs", "build/docs")
    told = [sys.executable, "-m", "sphinx", *options.split(), source, folder]
    done = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built(site):
    assert [name for name in TEXT if not (site / name).with_suffix(".html").is_file()] == []


def test_every_command_has_its_help_on_the_page(site):
    page = (site / "commands.html").read_text()
    names = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert len(names) > 5
    assert [name for name in names if f"Usage: secateur {name} " not in page] == []


def test_no_page_asks_another_machine(site):
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        import offline
    finally:
        sys.path.pop(0)
    assert offline.requests_in(site) == []
    hostile = '<script src="https://cdn.example/x.js"></script><a href="https://a.example">a</a>'
    assert offline.requests_of(hostile) == ["https://cdn.example/x.js"]


def test_it_can_be_searched(site):
    index = (site / "searchindex.js").read_text()
    assert "hypervolum" in index
    assert "searchindex.js" in (site / "search.html").read_text()


def test_links_lead_somewhere():
    for page, text in TEXT.items():
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", text):
            assert (DOCS / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_what_a_point_says_is_explained():
    """Every sparsity that a row of the table shows stands in the guide under its own name."""
    assert {"sparsity", "conv_sparsity", "model_sparsity"} <= set(Point.__annotations__)
    assert all(f"**{name}**" in TEXT["frontier.md"] for name in ("sparsity", "model_sparsity"))


TINY = """
model = "lenet-5"
data = { name = "shapes", options = { train = 80, val = 20, test = 20, size = 16 } }
levels = [0.5]
training = { base_epochs = 1, retrain_epochs = 1 }
[methods.dense]
"""


def test_a_new_method_is_two_files_and_two_lines(tmp_path):
    """The tutorial, followed to the letter in a copy of the package."""
    package = tmp_path / "secateur"
    shutil.copytree(
        ROOT / "src" / "secateur", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, file in re.findall(r"`src/secateur/(pruning/(\w+)/\w+\.py)`", TEXT["extend.md"]):
        kind = {"criteria": "criterion", "methods": "method"}[file]
        (package / name).write_text(named_block("extend.md", f"{kind}-file"))
        table = {"criteria": "CRITERIA", "methods": "METHODS"}[file]
        path = package / "registry.py"
        head, found, tail = path.read_text().partition(f"{table} = Registry(")
        assert found
        line = named_block("extend.md", f"{kind}-line")
        path.write_text(head + found + tail.replace("    {\n", f"    {{\n{line}", 1))
    (tmp_path / "tiny.toml").write_text(TINY)
    # Without `site` an editable install of this checkout does not come before the copy.
    paths = os.pathsep.join([str(tmp_path), sysconfig.get_path("purelib")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}

    def told(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-S", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    module = "secateur.pruning.criteria.cosine"
    example = f"import doctest, {module} as m; assert doctest.testmod(m) == (0, 1)"
    command = "from secateur.cli import main; main()"
    assert "redundant" in told("-c", command, "methods")
    sweep = ("sweep", "tiny.toml", "--methods", "redundant", "--out", "run", "--no-timing")
    table = told("-c", f"{example}\n{command}", *sweep)
    assert re.search(r"^[*x]? *redundant +0\.5", table, re.M)
