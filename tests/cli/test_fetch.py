from collections.abc import Callable
from pathlib import Path

import pytest

from secateur.study.store import Store

AT_ONCE = """
from secateur.study.executors.protocol import Event
from secateur.study.run import perform


class AtOnce:
    def __init__(self, workers):
        self.workers, self.told = workers, []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    free = property(lambda self: self.workers - len(self.told))
    busy = property(lambda self: bool(self.told))

    def start(self, job):
        self.told.append(Event(job.run.digest, "done", perform(job)))

    def events(self, timeout=0.2):
        told, self.told = self.told, []
        yield from told
"""

STUDY = """
model = "lenet-5"
executor = "at_once:AtOnce"
levels = [0.5]
data = { name = "shapes", options = { train = 20, val = 10, test = 10, size = 16 } }
training = { base_epochs = 1, retrain_epochs = 1 }
[methods.magnitude]
"""

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Said) -> Said:
    """The command in this process and a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "at_once.py").write_text(AT_ONCE)
    (tmp_path / "study.toml").write_text(STUDY)
    return command


def test_a_run_that_a_sweep_copied_comes_back_and_goes_on(run: Said, tmp_path: Path) -> None:
    sweep = ("sweep", "study.toml", "--no-timing", "--threads", "1", "--shared", "--out")
    there = f"file://{tmp_path}/there"
    code, out, err = run(*sweep, "one", "--copy-to", there)
    assert code == 0, err
    assert f"Copy: {there} (" in out
    code, out, err = run("fetch", there, "back")
    assert (code, out) == (0, "Run: back (5 files, 5 of them fetched)\n"), err
    assert Store(Path("back")).points() == Store(Path("one")).points()
    attempts = Store(Path("back")).attempts()
    assert run(*sweep, "back")[0] == 0
    assert Store(Path("back")).attempts() == attempts
    # The same command with nothing left to do copies what is missing, and trains nothing.
    for file in Path("there", "points").iterdir():
        file.unlink()
    Path("there", "secateur-copy.json").unlink()
    assert run(*sweep, "one", "--copy-to", there)[0] == 0
    assert run("fetch", there, "again")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fetch", "nope://x", "back"), "Protocol not known: nope"),
        (("fetch", "nowhere", "back"), "without a copy that is whole"),
        (("sweep", "study.toml", "--copy-to", "nope://x"), "Protocol not known: nope"),
        (("sweep", "study.toml", "--copy-to", "study.toml"), "trying an address"),
    ],
)
def test_an_address_that_is_none_is_one_line_and_exit_code_2(
    run: Said, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "runs").exists()
