import io
import os
import subprocess
import sys

import pytest

from secateur.cli.printing import spell_out


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
