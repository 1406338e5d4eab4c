import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import StoreError
from secateur.point import Epochs, Point, Share, accuracy
from secateur.study.database import FORMAT
from secateur.study.folder import PARTIAL, checkpoint_name
from secateur.study.plan import Run
from secateur.study.store import Store

EMPTY = (2).to_bytes(8, "little") + b"{}"
"""The smallest safetensors file: without a tensor."""


def run(name: str, kind: Any = "point", **parents: str) -> Run:
    spent = {"base": 1, "sparsity": 0, "retrain": 1}
    return Run(name * 8, kind, "magnitude", (0.5,), 0, 1, 0, parents, 1, spent)


def point(made_by: Run, correct: int = 7) -> Point:
    return Point(
        method=made_by.method,
        level=made_by.level,
        step=made_by.step,
        seed=made_by.seed,
        digest=made_by.digest,
        scores=(accuracy("val", correct, 10), accuracy("test", 6, 10)),
        sparsity=Share(1, 2),
        conv_sparsity=Share(0, 0),
        model_sparsity=Share(1, 3),
        parameters=3,
        nonzero=2,
        masked_macs=4,
        nonzero_macs=3,
        compact_parameters=3,
        macs=4,
        epochs=Epochs(**made_by.spent),
        seconds=0.5,
        checkpoint=checkpoint_name(made_by.digest),
        curve=({"epoch": 1, "loss": 0.1, "val_accuracy": 0.7},),
    )


def finish(store: Store, made_by: Run, **values: Any) -> None:
    store.checkpoint(made_by.digest).write_bytes(EMPTY)
    result = {"point": point(made_by, **values).to_dict()}
    store.record_end(store.record_start(made_by), made_by, "done", "", result)


BASE, ONE, TWO, THREE = run("b", "base"), run("1"), run("2"), run("3")


def test_what_is_written_is_read_back_in_the_order_of_the_plan(tmp_path: Path) -> None:
    slim = run("s", "slim")
    with Store.writing(tmp_path / "deep" / "run") as store:
        store.begin({"name": "x", "levels": [[0.5]]}, [BASE, slim, ONE, TWO, THREE])
        store.record_end(store.record_start(THREE), THREE, "failed", "NaN", {"traceback": "..."})
        finish(store, ONE)
        store.checkpoint(slim.digest).write_bytes(EMPTY)
        store.record_end(store.record_start(slim), slim, "done", "", {"curve": []})
        finish(store, BASE)
    store = Store(tmp_path / "deep" / "run")
    assert store.settings == {"name": "x", "levels": [[0.5]]}
    assert store.points() == (point(BASE), point(ONE))
    assert store.failures() == ((THREE.title, "NaN"),)
    assert store.missing() == 1
    assert store.finished() == {BASE.digest, ONE.digest, slim.digest}
    outcomes = [(THREE, "failed"), (ONE, "done"), (slim, "done"), (BASE, "done")]
    assert store.attempts() == tuple((made_by.digest, how) for made_by, how in outcomes)


def test_a_new_plan_replaces_the_old_one_and_the_runs_stay(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        store.begin({"name": "old"}, [BASE, ONE])
        finish(store, ONE)
        store.begin({"name": "new"}, [BASE, TWO])
        assert store.points() == ()
        assert store.missing() == 2
        store.begin({"name": "old"}, [BASE, ONE])
        assert store.points() == (point(ONE),)
        assert store.settings == {"name": "old"}


def test_a_run_that_failed_and_then_succeeds_is_no_failure(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        store.begin({}, [ONE])
        store.record_end(store.record_start(ONE), ONE, "failed", "out of memory")
        finish(store, ONE)
        assert store.failures() == ()
        assert store.points() == (point(ONE),)
        assert [how for _, how in store.attempts()] == ["failed", "done"]


def test_a_finished_run_whose_file_is_gone_is_not_finished(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        finish(store, ONE)
        store.checkpoint(ONE.digest).unlink()
        assert store.finished() == set()


def test_an_attempt_that_never_ended_has_no_outcome(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        store.record_start(ONE)
    assert Store(tmp_path).attempts() == ((ONE.digest, None),)


def test_an_end_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        attempt = store.record_start(ONE)
        with pytest.raises(sqlite3.IntegrityError):
            store.record_end(attempt, ONE, "lost")  # type: ignore[arg-type]
        assert store.attempts() == ((ONE.digest, None),)
        assert store.finished() == set()


def test_facts_are_kept_and_replaced(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        assert store.fact("threads") is None
        store.write_fact("threads", "2")
        store.write_fact("threads", "3")
    assert Store(tmp_path).fact("threads") == "3"


def test_only_one_process_writes_and_others_may_read(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        finish(store, ONE)
        with pytest.raises(StoreError, match="in use by another sweep"), Store.writing(tmp_path):
            pass
        assert Store(tmp_path).finished() == {ONE.digest}
    with Store.writing(tmp_path):  # the lock is given back
        pass


def test_leftovers_of_a_killed_writer_are_cleared_away(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        finish(store, ONE)
        partial = tmp_path / "points" / "abc.123.partial"
        partial.write_bytes(b"half")
    with Store.writing(tmp_path) as store:
        assert not partial.exists()
        assert store.finished() == {ONE.digest}


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is no folder, expected the output folder"):
        Store(tmp_path / "absent")
    with pytest.raises(StoreError, match=r"a folder without study.sqlite"):
        Store(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 50, b"SQLite format 3\0" + b"x" * 99]
)
def test_a_damaged_file_is_refused_for_reading_and_for_writing(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "study.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="unusable"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="unusable"), Store.writing(tmp_path):
        pass
    assert (tmp_path / "study.sqlite").read_bytes() == content


def test_a_newer_format_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.writing(tmp_path) as store:
        store.write_fact("format", str(FORMAT + 1))
    before = (tmp_path / "study.sqlite").read_bytes()
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}, expected format {FORMAT}"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="version of secateur"), Store.writing(tmp_path):
        pass
    assert (tmp_path / "study.sqlite").read_bytes() == before


def test_a_writer_killed_before_the_first_table_leaves_a_folder_that_can_be_used(
    tmp_path: Path,
) -> None:
    (tmp_path / "study.sqlite").touch()
    with pytest.raises(StoreError, match="unusable"):
        Store(tmp_path)
    with Store.writing(tmp_path) as store:
        finish(store, ONE)
    assert Store(tmp_path).finished() == {ONE.digest}


@pytest.mark.parametrize("place", ["run", "run/points", "run/study.sqlite"])
def test_a_file_or_folder_in_the_way_is_one_message(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if place.endswith("sqlite") else path.write_text("mine")
    with pytest.raises(StoreError, match=r"not writable|unusable"), Store.writing(tmp_path / "run"):
        pass
    assert path.is_dir() or path.read_text() == "mine"


def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with (
        pytest.raises(StoreError, match=r"not writable \(Read-only file system\).*--out"),
        Store.writing(tmp_path / "run"),
    ):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_refused_before_anything_is_written(small_disk: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"not writable \(No space left on device\)"),
        Store.writing(small_disk / "run"),
    ):
        pass
    assert [path.name for path in (small_disk / "run").iterdir()] == ["points"]


def test_the_room_for_what_is_to_be_written_is_checked(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        store.check_room(1)
        with pytest.raises(StoreError, match=r"with 1,000,000,000,000,000,000 bytes free"):
            store.check_room(10**18)


def test_the_store_is_read_without_torch() -> None:
    code = "import sys; import secateur.study.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_name_of_a_checkpoint_is_of_the_digest() -> None:
    assert checkpoint_name("0123456789" * 6) == "points/01234567890123456789.safetensors"
    assert PARTIAL not in checkpoint_name("0" * 64)
