import ast
import io
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

import secateur
from secateur import cli
from secateur.cli.printing import Screen, Terminal, print_table, screened, spell_out, words
from secateur.study.store import Store

EVIL = "\x1b]0;owned\x07\x1b[2J\r\x7f\x9b31m\u202e\u2028\udc9b\u200b"


def written(text: str, encoding: str, errors: str = "strict") -> bytes:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors=errors)
    spell_out(stream)
    stream.write(text)
    stream.flush()
    return raw.getvalue()


@pytest.mark.parametrize(
    ("encoding", "text", "told"),
    [
        ("ascii", "91.0 ± 0.3 %", b"91.0 +- 0.3 %"),
        ("ascii", "8 → 4 · 3 µs…", b"8 -> 4 | 3 us..."),
        ("ascii", "✓✗▸━─", b"okx>=-"),
        ("latin-1", "± →", b"\xb1 ->"),
        ("cp1254", "ş ✓", b"\xfe ok"),
        ("ascii", "naïve 日", rb"na\xefve \u65e5"),
        ("utf-8", "± →", "± →".encode()),
        ("ascii", "caf\udce9", b"caf\xe9"),
        ("utf-8", "caf\udce9", b"caf\xe9"),
        ("utf-8", "\ud800", rb"\ud800"),
        ("utf-16-le", "caf\udce9 \ud800 ±", r"caf\udce9 \ud800 ±".encode("utf-16-le")),
        ("cp037", "± → ✓", "± -> ok".encode("cp037")),
        ("shift_jis", "± ✓ é", "± ok \\xe9".encode("shift_jis")),
    ],
)
def test_signs_that_an_encoding_has_not_are_spelt_out(
    encoding: str, text: str, told: bytes
) -> None:
    for errors in ("strict", "surrogateescape", "backslashreplace"):
        assert written(text, encoding, errors) == told


def test_what_is_no_stream_of_text_is_left_alone() -> None:
    spell_out(io.StringIO())


@pytest.mark.parametrize("command", [["methods"], ["models"], ["--help"], ["sweep", "± none"]])
def test_every_command_runs_where_there_is_ascii_alone(command: list[str]) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "secateur", *command],
        env={**os.environ, **plain, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == (2 if "sweep" in command else 0), done.stderr
    assert b"Traceback" not in done.stderr
    assert (done.stdout + done.stderr).isascii()


@pytest.fixture
def run(tmp_path: Path, make_point: Callable[..., Any], put: Callable[..., None]) -> Path:
    """A run folder of two points, and of a failure whose reason is no mere text."""
    made = [make_point("dense", (), 90), make_point("magnitude", (0.5,), 80)]
    failed, _ = make_point("magnitude", (0.9,), 0, 1)
    with Store.writing(tmp_path / "run") as store:
        store.begin({"name": "one"}, [*(run for run, _ in made), failed])
        for each in made:
            put(store, *each)
        store.record_end(store.record_start(failed), failed, "failed", f"a{EVIL[:-3]}b ± ✓ 日")
    return tmp_path / "run"


def odd(text: str) -> set[str]:
    return {one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl")} - {"\n"}


def test_nothing_but_words_gets_through_whichever_way_it_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with screened():
        print(EVIL)  # noqa: T201
        sys.stdout.writelines([EVIL, "\n"])
        sys.stderr.write(EVIL)
        Terminal().print(EVIL, markup=False)
        table = Table(EVIL, title=Text(EVIL), caption=EVIL)
        table.add_row(Text(EVIL), EVIL)
        print_table(table)
    out, err = capsys.readouterr()
    assert not odd(out + err)
    assert "owned" in out
    assert "owned" in err


def test_a_terminal_has_our_colours_and_the_words_of_others() -> None:
    written = io.StringIO()
    Terminal(file=written, force_terminal=True, color_system="truecolor").print(
        Text(f"a{EVIL}b", style="bold red")
    )
    text = written.getvalue()
    assert text.startswith("\x1b[1;31ma")
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text


def test_text_in_brackets_and_between_colons_is_text() -> None:
    written = io.StringIO()
    table = Table("this, ms [quartiles]")
    table.add_row("[bold]:x: [0.1, 0.2]")
    Terminal(file=written, width=80).print(table, "[red]a[/red]")
    assert all(
        one in written.getvalue()
        for one in ("this, ms [quartiles]", "[bold]:x: [0.1, 0.2]", "[red]a[/red]")
    )


def test_lines_tabs_and_letters_of_all_languages_stay() -> None:
    for text in ("a\tb\n\nc\n", "naïve 日本 ± ✓ é", "caf\udce9", "no\u00a0break"):
        assert words(text) == text


def test_what_is_said_is_not_said_past_the_screen() -> None:
    """Whoever finds the bytes beneath a stream writes past whatever lies over it."""
    screen = Screen(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert not hasattr(screen, "buffer")
    assert not hasattr(screen, "detach")
    assert screen.encoding == "ascii"


def test_every_console_is_a_terminal_of_ours() -> None:
    texts = {path: path.read_text() for path in Path(secateur.__file__).parent.rglob("*.py")}
    for path in (path for path, text in texts.items() if "Console(" in text):
        made = [
            ast.unparse(node)
            for node in ast.walk(ast.parse(texts[path]))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Console"
        ]
        assert set(made) <= {"Console(width=1000)"}, path  # which measures, and prints nothing


def said(
    monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: object
) -> tuple[int, bytes, bytes]:
    """The command in this process, with streams of an encoding."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "argv", ["secateur", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    code = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = (stream.buffer.getvalue() for stream in streams)  # type: ignore[attr-defined]
    return code, out, err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8", "utf-16", "cp037"])
def test_every_command_is_said_in_every_encoding(
    monkeypatch: pytest.MonkeyPatch, run: Path, encoding: str
) -> None:
    for command in (
        ("frontier", run),
        ("frontier", run, "--json"),
        ("frontier", run, "--within", "0.5"),
        ("export-table", run),
        ("export-table", run, "--to", "json"),
        ("report", run, "--out", run / "é±日.html"),
        ("doctor", run),
        ("export", run, "--point", "±日:0.5:0"),
        ("inspect", run / "±日.safetensors"),
        ("bench", run / "±日.safetensors"),
        ("sweep", run / "±日.toml"),
        ("watch", run / "é±日.html"),
        ("methods", "magnitude"),
        ("studies", "demo"),
        ("--help",),
    ):
        code, out, err = said(monkeypatch, encoding, *command)
        text = out.decode(encoding) + err.decode(encoding)
        assert code in (0, 1, 2), command
        assert "Traceback" not in text, command
        assert not odd(text), command


def piped(*arguments: str, **streams: Any) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; sys.argv[0] = 'secateur'; from secateur.__main__ import main; main()"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, check=False, timeout=240, **streams)


def test_a_reader_who_has_enough_is_no_failure(run: Path) -> None:
    """As with `| head -1`: 0, whatever the size of the pipe, and no word."""
    for arguments in (["frontier", str(run)], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = piped(*arguments, stdout=writer, stderr=subprocess.PIPE)
        finally:
            os.close(writer)
        told = done.stderr.replace(b"Failed", b"").splitlines()
        assert done.returncode == 0
        assert not [line for line in told if b"rror" in line or b"Broken" in line]


def test_streams_that_are_closed_lead_nowhere(run: Path) -> None:
    for closed in ((1,), (0, 1, 2)):

        def close(numbers: tuple[int, ...] = closed) -> None:
            for number in numbers:
                os.close(number)

        assert piped("frontier", str(run), preexec_fn=close).returncode == 0
    assert len(Store(run).points()) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written_is_told(run: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = piped("export-table", str(run), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "secateur: writing the output: standard output is refused (No space left on device), "
        "expected room for it. Free the disk, or name another.\n"
    )


def test_the_reason_of_a_failure_is_on_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], runs: tuple[Any, ...]
) -> None:
    from secateur.cli.progress import Progress

    progress = Progress()
    with screened(), progress:
        progress.planned(runs, frozenset())
        progress.ended(runs[0], f"a{EVIL}\nsecateur: all is well")
    err = capsys.readouterr().err
    assert not odd(err)
    assert "\nsecateur" not in err
