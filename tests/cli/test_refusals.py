"""What is refused by name before anything is made: no traceback, no folder, nothing trained."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]
PLAIN = "[methods.magnitude]\n"


@pytest.fixture
def run(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command in this process and in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return command


STUDIES = {
    "deep": (b"a = " + b"[" * 10_000 + b"]" * 10_000, "nested|damaged TOML"),
    "deep tables": (b"a." * 5_000 + b"b = 1\n", "nested without an end"),
    "large": (b"# a\n" * 2_500_000, "of more than 1,048,576 bytes"),
    "a key twice": (PLAIN.encode() + b"[methods.magnitude]\n", "damaged TOML"),
    "a zero byte": (b'name = "a\0"\n', "damaged TOML"),
    "a written zero byte": (b'model = "a:b\\u0000"\n' + PLAIN.encode(), "without zero bytes"),
    "half a letter": (b'model = "\xed\xa0\x80"\n', "UTF-8"),
    "many images": (
        b'model = "conv4"\ndata = {name = "shapes", options = {train = 100000000000}}\n'
        + PLAIN.encode(),
        "train is 100000000000, expected at least 1 and at most",
    ),
    "many seeds": (b"seeds = 1000000000\n" + PLAIN.encode(), "at most 10,000 seeds"),
    "many epochs": (
        PLAIN.encode() + b"[training]\nbase_epochs = 99999999999999999999\n",
        "training.base_epochs is 99999999999999999999",
    ),
    "more epochs": (
        b"[methods.slimming]\nsparsity_epochs = 99999999999999999999\n",
        "methods.slimming.sparsity_epochs is 99999999999999999999",
    ),
    "a number of 5,000 digits": (b"seeds = " + b"9" * 5_000 + b"\n", "TOML"),
}


@pytest.mark.parametrize("kind", STUDIES)
def test_a_study_file_that_is_none(run: Command, kind: str) -> None:
    content, said = STUDIES[kind]
    Path("study.toml").write_bytes(content)
    code, out, err = run("sweep", "study.toml")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert any(one in err for one in said.split("|")), err
    assert os.listdir() == ["study.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sweep", "--seeds", "1000000000"), "at most 10,000 seeds"),
        (("sweep", "--seeds", "9" * 5000), "seeds"),
        (("sweep", "--seeds", "0,99999999999999999999"), "below 2^63"),
        (("sweep", "--base-epochs", "99999999999999999999"), "training.base_epochs is"),
        (("sweep", "--retrain-epochs", "9" * 5000), "retrain"),
        (("sweep", "--threads", "1000"), "threads is 1000, expected from 1 to"),
        (("sweep", "--threads", "9" * 30), "threads"),
        (("sweep", "--workers", "1000000"), "workers is 1000000, expected from 1 to"),
        (("sweep", "x" * 5000), "looking up a study"),
        (("sweep", "x" * 5000 + ".toml"), "File name too long"),
        (("sweep", "/dev/zero"), "of more than"),
        (("frontier", "x" * 5000), "opening a run"),
        (("doctor", "x" * 5000), "opening a run"),
        (("sensitivity", "x" * 5000), "looking up a study"),
        (("inspect", "x" * 5000), "File name too long"),
        (("inspect", "/dev/zero"), "a pipe or a device"),
        (("inspect", "/dev"), "a folder"),
        (("bench", "a.safetensors", "--batch", "9" * 5000), "--batch"),
        (("bench", "a.safetensors", "--threads", "9" * 5000), "--threads"),
        (("watch", "file"), "watching a study: file is a file, expected the run folder"),
        (("watch", "/dev/null"), "is a pipe or a device"),
    ],
)
def test_an_option_or_a_path_that_is_none(
    run: Command, arguments: tuple[str, ...], said: str
) -> None:
    Path("file").write_text("x")
    code, out, err = run(*arguments)
    assert (code, out) == (2, ""), err
    assert said in err
    assert "Traceback" not in err
    assert os.listdir() == ["file"]


def test_the_folder_of_a_store_is_named(run: Command) -> None:
    Path("run").mkdir()
    Path("run/study.sqlite").write_text("")
    code, _, err = run("watch", "run/study.sqlite")
    assert code == 2
    assert "secateur watch run." in err
