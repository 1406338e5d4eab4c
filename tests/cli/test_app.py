"""The manners of the command line, with the real command."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from secateur.cli import app
from secateur.study.store import Store

SECATEUR = str(Path(sys.executable).with_name("secateur"))
PATIENCE = 240
ANSI = re.compile(r"\x1b\[")
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38|48)\b[0-9;]*m")
COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.fixture
def run(tmp_path: Path, make_point: Callable[..., Any], put: Callable[..., None]) -> Path:
    """A run folder with eleven points."""
    made = [make_point("dense", (), 90)]
    made += [make_point("magnitude", (step / 10,), 80, step) for step in range(10)]
    with Store.writing(tmp_path / "run") as store:
        store.begin({"name": "one"}, [run for run, _ in made])
        for each in made:
            put(store, *each)
    return tmp_path / "run"


def piped(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SECATEUR, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def on_a_terminal(*arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
    """The command on a pseudo-terminal: its exit code, and all that it wrote there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [SECATEUR, *arguments],
        cwd=cwd,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    told = b""
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # Linux: nobody has the other end open any more
                break
            if not piece:
                break
            told += piece
        return process.wait(timeout=PATIENCE), told.decode()
    finally:
        process.kill()
        os.close(ours)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"})
    assert done.exit_code == 0
    assert "Examples:" in done.stdout
    examples = done.stdout.partition("Examples:")[2]
    assert f"secateur {command}" in examples
    assert all(len(line) <= 90 for line in done.stdout.splitlines())
    assert CliRunner().invoke(app, [command, "-h"], env={"COLUMNS": "80"}).stdout == done.stdout


def test_the_help_tells_the_exit_codes_and_where_completion_is() -> None:
    told = CliRunner().invoke(app, ["--help"]).stdout
    codes = re.findall(r"^\s+(\d+)\s\s", told.partition("Exit codes:")[2], re.MULTILINE)
    assert codes == ["0", "1", "2", "130", "143"]
    assert "--install-completion" in told
    assert "NO_COLOR" in told


@pytest.mark.parametrize(
    ("arguments", "suggested"),
    [
        (["swep"], "Did you mean 'sweep'?"),
        (["sweep", "--method", "dense"], "--methods"),
        (["frontier", "x", "--min-acuracy", "1"], "--min-accuracy"),
        (["sweep", "--methods", "magnitud"], "Did you mean 'magnitude'?"),
    ],
)
def test_a_typing_error_gets_a_suggestion_and_exit_2(arguments: list[str], suggested: str) -> None:
    done = piped(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert suggested in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--within", "2%"), "'--within': expected a number"),
        (("--within", "0,02"), "'--within': expected a number"),
        (("--min-quality", ""), "'--min-quality': expected a number"),
    ],
)
def test_a_number_that_is_none_is_told_as_everything_else_is(
    arguments: tuple[str, ...], words: str, command: Callable[..., Any]
) -> None:
    code, out, err = command("frontier", "run", *arguments)
    assert (code, out) == (2, "")
    # Older versions of typer name the value and the type.
    assert words in err or "is not a valid float" in err
    assert "should" not in err


def test_into_a_pipe_the_table_is_plain_and_each_row_one_line(run: Path) -> None:
    done = piped("frontier", str(run), COLUMNS="40")
    assert done.returncode == 0
    assert not ANSI.search(done.stdout)
    rows = [line for line in done.stdout.splitlines() if " magnitude " in line]
    assert len([line for line in rows if "(n=" in line or "0.8000" in line]) == 10


def test_on_a_terminal_there_is_style_and_no_color_takes_the_colour(run: Path) -> None:
    code, told = on_a_terminal("frontier", str(run))
    assert code == 0
    assert ANSI.search(told)
    code, told = on_a_terminal("frontier", str(run), NO_COLOR="1")
    assert code == 0
    assert not COLOUR.search(told)


INTERRUPTED = """
import os, signal, sys
from importlib.abc import MetaPathFinder

wanted, sys.argv = sys.argv[1], ["secateur", *sys.argv[2:]]

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
        return None

sys.meta_path.insert(0, Finder())
from secateur.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("secateur.cli.app", ["--help"]),  # while the command line loads
        ("torch", ["doctor"]),  # while a command loads what it needs
        ("secateur.report.server", ["watch", "nowhere"]),
    ],
)
def test_ctrl_c_at_any_moment_is_130_without_a_traceback(module: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_the_package_is_the_command_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "secateur", "--version"], capture_output=True, text=True, check=False
    )
    assert done.stdout == piped("--version").stdout


# What takes its time in it is to start; the rest is as short as can be.
STUDY = """
name = "tiny"
model = "tiny:net"
levels = [0.3]
data = { name = "shapes", options = { train = 60, val = 20, test = 20, size = 12 } }
training = { base_epochs = 1, retrain_epochs = 1 }
[methods.magnitude]
"""
SWEEP = ("sweep", "tiny.toml", "--out", "run", "--no-timing")


@pytest.fixture(scope="module")
def swept(make_bench: Callable[..., Any]) -> tuple[Any, int, str]:
    """A bench with a study, swept on a terminal; the exit code, and what was shown."""
    bench = make_bench(study=STUDY)
    return bench, *on_a_terminal(*SWEEP, cwd=bench.folder, OMP_NUM_THREADS="1")


def test_on_a_terminal_a_sweep_shows_its_tree_and_leaves_the_table(
    swept: tuple[Any, int, str],
) -> None:
    _, code, told = swept
    assert code == 0
    assert "dense base seed 0" in told
    assert "└── " in told
    assert "best so far" in told
    assert "\x1b[?25h" in told  # the cursor is back
    assert "Hypervolume" in told.split("Store: run")[0]


def test_a_quiet_sweep_tells_its_result_and_nothing_else(swept: tuple[Any, int, str]) -> None:
    done = swept[0].run(*SWEEP, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "magnitude" in done.stdout
    for line in ("Figure", "Store:", "Page:"):
        assert line not in done.stdout


def test_a_quiet_sweep_tells_its_errors(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(net="def net(shape, classes): raise ValueError('a bug')", study=STUDY)
    done = bench.run(*SWEEP, "--quiet")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a bug" in done.stderr


def test_a_terminal_that_is_closed_does_not_end_the_sweep(make_bench: Callable[..., Any]) -> None:
    """As under `nohup`, or `disown` in a shell: the signal is ignored, the terminal is gone."""
    bench = make_bench(study=STUDY)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", 'trap \'\' HUP; exec "$0" "$@"', SECATEUR, *SWEEP],
        cwd=bench.folder,
        env={**bench.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        start_new_session=True,
    )
    try:
        os.close(theirs)
        assert select.select([ours], [], [], PATIENCE)[0]  # it has begun to show something
        os.close(ours)
        assert process.wait(timeout=PATIENCE) == 0
    finally:
        process.kill()
    assert len(Store(bench.folder / "run").points()) == 2
