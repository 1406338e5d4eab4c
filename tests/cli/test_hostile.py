"""A run folder from somebody else is data: nothing in it runs, is opened, or leads outside.

Every field of a store is given every kind of hostile value in turn, and every command is asked
about it. All may be refused in one line; nothing may be run, written elsewhere, or break.
"""

import contextlib
import json
import os
import re
import sqlite3
import struct
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from secateur import models
from secateur.report.page import values
from secateur.report.server import LiveStudy
from secateur.spec import StudySpec
from secateur.study.checkpoint import save_checkpoint
from secateur.study.plan import settings_of
from secateur.study.store import Store

ESCAPE = "\x1b]0;owned\x07\x1b[2J\r‮"
MARKUP = "</script><img src=x onerror=alert(1)>[red]$\\frac{"
SHAPE = (1, 28, 28)

Said = tuple[int, str, str]


@pytest.fixture
def run(command: Callable[..., Said]) -> Callable[..., Said]:
    """The command in this process; what it says has nothing in it but words."""

    def run(*arguments: object) -> Said:
        code, out, err = command(*map(str, arguments))
        assert "Traceback" not in err
        for text in (out, err):
            odd = {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf")}
            assert odd <= {"\n"}, f"{arguments} printed {odd}"
        return code, out, err

    return run


@pytest.fixture
def folder(
    tmp_path: Path,
    make_point: Callable[..., Any],
    put: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A run folder of two points and a failure, as good as a real one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run = tmp_path / "here" / "run"
    made = [make_point("dense", (), 90), make_point("magnitude", (0.5,), 80)]
    failed, _ = make_point("magnitude", (0.9,), 0, 1)
    spec = {"model": "lenet-5", "data": "mnist", "methods": {"magnitude": {}, "dense": {}}}
    with Store.writing(run) as store:
        facts = {"shape": SHAPE, "classes": 10, "fingerprint": "f", "val_majority": 12}
        store.write_fact("data", json.dumps(facts))
        store.write_fact("threads", json.dumps({"base": 1, "slim": 1, "point": 1}))
        store.begin(
            settings_of(StudySpec.model_validate(spec)), [*(one for one, _ in made), failed]
        )
        for one, point in made:
            put(store, one, point)
            net = models.build("lenet-5", SHAPE, 10)
            save_checkpoint(store.checkpoint(point.digest), net.state_dict())
        store.record_end(store.record_start(failed), failed, "failed", "out of memory")
    return run


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path) -> Iterator[None]:
    """A file outside the folder, and a watch on all that lies there."""
    (tmp_path / "victim").write_text("mine")
    yield
    assert (tmp_path / "victim").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} <= {"victim", "here", "elsewhere"}
    if (tmp_path / "elsewhere").exists():
        assert not list((tmp_path / "elsewhere").iterdir())


def change(folder: Path, query: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(folder / "study.sqlite")) as db, db:
        db.execute(query, values)


def ask_everything(run: Callable[..., Said], folder: Path) -> set[int]:
    """Every cheap command; the exit codes. The page and its live values may not break either."""
    codes = {
        run("frontier", folder)[0],
        run("frontier", folder, "--json", "--within", "0.5")[0],
        run("export-table", folder, "--to", "json")[0],
        run("report", folder, "--out", folder / "page.html")[0],
    }
    live = LiveStudy(folder)
    assert json.loads(live.study().body)
    assert live.page().body
    if (folder / "page.html").exists():
        assert MARKUP[:24] not in (folder / "page.html").read_text()
    return codes


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    yield path
    for name, each in pairs:
        yield from leaves(each, (*path, name))


def planted(value: Any, path: tuple[Any, ...], hostile: Any) -> Any:
    if not path:
        return hostile
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = planted(value[path[0]], path[1:], hostile)
    return copy


JSON_FIELDS = (
    ("facts", "value", "name = 'settings'"),
    ("facts", "value", "name = 'data'"),
    ("runs", "result", "kind = 'point' AND status = 'done'"),
    ("runs", "made_by", "kind = 'point' AND status = 'done'"),
)
HOSTILE_VALUES: tuple[Any, ...] = (
    f"os:system {MARKUP}{ESCAPE}",
    None,
    -1,
    [["../../victim"]],
    10**30,
)


@pytest.mark.parametrize(("table", "column", "where"), JSON_FIELDS)
def test_every_leaf_of_every_json_field(
    run: Callable[..., Said], folder: Path, table: str, column: str, where: str
) -> None:
    with contextlib.closing(sqlite3.connect(folder / "study.sqlite")) as db:
        text = db.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()[0]
    whole = json.loads(text)
    whole.pop("seal", None)  # whoever plants something leaves no broken one
    for number, path in enumerate(leaves(whole)):
        # Each leaf meets one kind of value, and its neighbours others.
        hostile = HOSTILE_VALUES[number % len(HOSTILE_VALUES)]
        text = json.dumps(planted(whole, path, hostile))
        change(folder, f"UPDATE {table} SET {column} = ? WHERE {where}", text)
        assert run("frontier", folder)[0] in (0, 2), (path, hostile)
        assert run("export-table", folder)[0] in (0, 2), (path, hostile)
        assert json.loads(LiveStudy(folder).study().body)


NO_JSON = ("", "[" * 100_000, '{"point": {}}', "[1, 2]", "9" * 5000, "\x00")


@pytest.mark.parametrize(("table", "column", "where"), JSON_FIELDS)
def test_what_is_no_json(
    run: Callable[..., Said], folder: Path, table: str, column: str, where: str
) -> None:
    for text in NO_JSON:
        change(folder, f"UPDATE {table} SET {column} = ? WHERE {where}", text)
        assert ask_everything(run, folder) <= {0, 2}, text


TEXT_FIELDS = (
    ("runs", "digest"), ("runs", "kind"), ("runs", "title"), ("runs", "reason"),
    ("plan", "digest"), ("attempts", "digest"), ("attempts", "outcome"), ("facts", "name"),
)  # fmt: skip


@pytest.mark.parametrize(("table", "column"), TEXT_FIELDS)
def test_every_text_field(
    run: Callable[..., Said], folder: Path, tmp_path: Path, table: str, column: str
) -> None:
    key = "name" if table == "facts" else "rowid"
    for text in (f"{tmp_path}/victim", MARKUP + ESCAPE, "", "x" * 300_000):
        place = f"(SELECT min({key}) FROM {table})"
        change(folder, f"UPDATE {table} SET {column} = ? WHERE {key} = {place}", text)
        assert ask_everything(run, folder) <= {0, 2}, text


NAMES = (
    "os:system", "/victim", "../../victim", "a/../../victim", "..", ".", "", "con", "a\0b",
    "x" * 300, "-rf", "~", MARKUP, ESCAPE, "a\\b", "C:victim", "\u2215victim", "\uff0fvictim",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_method_that_is_a_path_or_a_command(
    run: Callable[..., Said], folder: Path, name: str
) -> None:
    with contextlib.closing(sqlite3.connect(folder / "study.sqlite")) as db:
        text = db.execute("SELECT result FROM runs WHERE kind = 'point' AND status = 'done'")
        result = json.loads(text.fetchone()[0])
    del result["seal"]
    result["point"]["method"] = name
    change(
        folder,
        "UPDATE runs SET result = ? WHERE kind = 'point' AND status = 'done'",
        json.dumps(result),
    )
    digest = result["point"]["digest"]
    code, out, err = run("export", folder, "--point", digest)
    assert (code, out) == (2, ""), err
    assert not (folder / "exports").exists() or not list((folder / "exports").iterdir())


def set_model(folder: Path, name: str, **options: object) -> None:
    settings = Store(folder).settings | {"model": {"name": name, "options": options}}
    text = json.dumps(settings)
    change(folder, "UPDATE facts SET value = ? WHERE name = 'settings'", text)


@pytest.mark.parametrize("name", ["os:system", "planted:build", "secateur.models.lenet:lenet_5"])
def test_a_builder_is_never_run_by_the_word_of_a_store(
    run: Callable[..., Said], folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("planted.py").write_text("open('../ran', 'w')\n")
    set_model(folder, name, command="touch ../ran", shape="x")
    for to in ("safetensors", "onnx", "pt2"):
        code, _, err = run("export", folder, "--point", "magnitude:0.5:0", "--to", to)
        assert code == 2
        assert f"{name!r}, by the word of" in err
        assert f"--model {name} if it is yours" in err
    assert "planted" not in sys.modules
    assert ask_everything(run, folder) <= {0, 2}


def test_the_users_own_word_is_taken(run: Callable[..., Said], folder: Path) -> None:
    set_model(folder, "os:system")
    chosen = ("--model", "secateur.models.lenet:lenet_5")
    code, _out, err = run("export", folder, "--point", "magnitude:0.5:0", *chosen)
    assert code == 0, err
    assert (folder / "exports" / "magnitude-0.5-0.safetensors").exists()
    Path("own.toml").write_text('model = "lenet-5"\ndata = "mnist"\n[methods.magnitude]\n')
    code, _, err = run("export", folder, "--point", "magnitude:0.5:0", "--study", "own.toml")
    assert code == 2
    assert "'os:system'" in err
    set_model(folder, "lenet-5")
    assert run("export", folder, "--point", "magnitude:0.5:0", "--study", "own.toml")[0] == 0


def test_options_of_a_store_are_no_paths(run: Callable[..., Said], folder: Path) -> None:
    set_model(folder, "mine:build", weights="/victim")
    code, _, err = run("export", folder, "--point", "magnitude:0.5:0", "--model", "mine:build")
    assert code == 2
    assert "may be a path" in err


@pytest.mark.parametrize(
    "facts",
    [
        {"shape": [1, 60000, 60000], "classes": 10},
        {"shape": [1, 4096, 4096], "classes": 10},
        {"shape": [1, 28, 28], "classes": 60000},
        {"shape": ["../victim", 1, 1], "classes": 10},
        {"shape": [1, 28], "classes": 10},
        {"shape": {}, "classes": True},
        {"shape": [1, 28, 28], "classes": []},
        {"shape": [1, 28, 28]},
        {"shape": [], "classes": 10},
        {"shape": [1] * 9, "classes": 10},
        [],
    ],
)
def test_a_shape_that_no_machine_has_room_for(
    run: Callable[..., Said], folder: Path, facts: object
) -> None:
    change(folder, "UPDATE facts SET value = ? WHERE name = 'data'", json.dumps(facts))
    code, out, _ = run("export", folder, "--point", "magnitude:0.5:0")
    assert (code, out) == (2, "")


def test_functions_named_by_a_store_are_never_imported(
    run: Callable[..., Said], folder: Path
) -> None:
    Path("planted.py").write_text("open('../ran', 'w')\n")
    named = {name: {"name": "planted:it"} for name in ("data", "task")}
    text = json.dumps(Store(folder).settings | named | {"train": "planted:it"})
    change(folder, "UPDATE facts SET value = ? WHERE name = 'settings'", text)
    assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 0
    change(folder, "DELETE FROM facts WHERE name = 'data'")
    assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 2
    assert run("sensitivity", folder)[0] == 2
    assert "planted" not in sys.modules
    assert not Path("../ran").exists()


def test_data_named_by_a_store_are_never_opened(
    run: Callable[..., Said], folder: Path, tmp_path: Path
) -> None:
    os.mkfifo(Path("pipe.npz"))  # opening it would wait for ever
    data = {"name": "npz", "options": {"path": str(Path("pipe.npz").resolve())}}
    text = json.dumps(Store(folder).settings | {"data": data})
    change(folder, "UPDATE facts SET value = ? WHERE name = 'settings'", text)
    assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 0
    change(folder, "DELETE FROM facts WHERE name = 'data'")
    assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 2


# --- links, pipes and devices -------------------------------------------------------------------

NAMED = (
    "study.sqlite", "study.sqlite-journal", "study.sqlite-wal", "study.sqlite-shm", ".lock",
    ".pulse", "pulse.json",
)  # fmt: skip


def plant(path: Path, kind: str, victim: Path) -> None:
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "dangling link":
        path.symlink_to(victim.with_name("made"))
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_is_none_is_refused_by_name(
    run: Callable[..., Said], folder: Path, tmp_path: Path, name: str, kind: str
) -> None:
    plant(folder / name, kind, tmp_path / "victim")
    for command in ("frontier", "report", "export-table"):
        code, _, err = run(command, folder)
        assert code == 2
        assert name in err
    assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 2
    code, _, err = run("sweep", "--model", "lenet-5", "--data", "shapes", "--out", folder)
    assert code == 2
    assert name in err


@pytest.mark.parametrize("name", [".probe", "pulse.partial", "report.html"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe"])
def test_what_is_written_takes_the_place_of_a_link(
    folder: Path, run: Callable[..., Said], tmp_path: Path, name: str, kind: str
) -> None:
    plant(folder / name, kind, tmp_path / "victim")
    with Store.writing(folder):
        pass
    run("report", folder)
    from secateur.study.heartbeat import Heartbeat

    with Heartbeat(folder) as heartbeat:
        heartbeat.planned((), frozenset())


@pytest.mark.parametrize("name", ["points", "figures", "exports", "tensorboard"])
def test_a_subfolder_that_is_a_link_out_is_refused(
    run: Callable[..., Said], folder: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    if (folder / name).exists():
        (folder / name).rename(folder / "away")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    for arguments in (("frontier", folder), ("export", folder, "--point", "magnitude:0.5:0")):
        code, _, err = run(*arguments)
        assert code == 2
        assert f"{name} is unusable (a link to elsewhere)" in err


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_weights_that_are_no_file(
    run: Callable[..., Said], folder: Path, tmp_path: Path, kind: str
) -> None:
    plant(Store(folder).checkpoint(Store(folder).points()[1].digest), kind, tmp_path / "victim")
    assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 2


def test_weights_of_another_net_or_with_false_masks(run: Callable[..., Said], folder: Path) -> None:
    store = Store(folder)
    weights = store.checkpoint(store.points()[1].digest)
    good = weights.read_bytes()
    save_checkpoint(weights, {"x": torch.zeros(3)})
    code, _, err = run("export", folder, "--point", "magnitude:0.5:0")
    assert (code, "of another net" in err) == (2, True)
    size = struct.unpack("<Q", good[:8])[0]
    header = json.loads(good[8 : 8 + size])
    for masks in ("{", '{"masks": {}}', '{"masks": {"a": [[9], "?"]}, "floored": []}', "[]"):
        header["__metadata__"] = {"secateur.masks": masks}
        text = json.dumps(header).encode()
        weights.write_bytes(struct.pack("<Q", len(text)) + text + good[8 + size :])
        assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 2
    weights.write_bytes(b"no safetensors")
    assert run("export", folder, "--point", "magnitude:0.5:0")[0] == 2


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a device"])
@pytest.mark.parametrize("to", ["safetensors", "onnx", "pt2"])
def test_an_export_target_that_is_no_file_is_left_alone(
    run: Callable[..., Said], folder: Path, kind: str, to: str
) -> None:
    target = Path("target")
    if kind == "device":
        target = Path(os.devnull)
    elif kind == "link to a device":
        target.symlink_to(os.devnull)
    else:
        plant(target, kind, target)
    before = target.lstat()
    code, out, err = run(
        "export", folder, "--point", "magnitude:0.5:0", "--to", to, "--out", target
    )
    assert (code, out) == (2, "")
    assert "expected a file, or nothing" in err
    assert (target.lstat().st_mode, target.lstat().st_ino) == (before.st_mode, before.st_ino)
    for command, out_file in (("report", target), ("export-table", target)):
        if to == "pt2":
            assert run(command, folder, "--out", out_file)[0] == 2


def test_an_export_takes_the_place_of_a_link(
    run: Callable[..., Said], folder: Path, tmp_path: Path
) -> None:
    target = Path("net.safetensors")
    target.symlink_to(tmp_path / "victim")
    assert run("export", folder, "--point", "magnitude:0.5:0", "--out", target)[0] == 0
    assert not target.is_symlink()


# --- the database itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TRIGGER t AFTER INSERT ON facts BEGIN DELETE FROM runs; END",
        "DROP TABLE plan; CREATE VIEW plan AS WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS position, 'x' AS digest FROM n",
        "ALTER TABLE runs DROP COLUMN reason",
        "DROP TABLE latencies",
        "CREATE TABLE more (x)",
        "DELETE FROM facts",
        "UPDATE facts SET value = '2' WHERE name = 'format'",
        "UPDATE facts SET value = '\x1b[2J' WHERE name = 'format'",
    ],
)
def test_a_database_that_secateur_did_not_make(
    run: Callable[..., Said], folder: Path, script: str
) -> None:
    with contextlib.closing(sqlite3.connect(folder / "study.sqlite")) as db:
        db.executescript(script)
    assert ask_everything(run, folder) == {2}
    assert run("sweep", "--model", "lenet-5", "--data", "shapes", "--out", folder)[0] == 2


def test_a_damaged_database(run: Callable[..., Said], folder: Path) -> None:
    whole = (folder / "study.sqlite").read_bytes()
    for place in range(0, len(whole), 2039):
        damaged = whole[:place] + bytes(64) + whole[place + 64 :]
        (folder / "study.sqlite").write_bytes(damaged)
        assert run("frontier", folder)[0] in (0, 2)
    (folder / "study.sqlite").write_bytes(whole[: len(whole) // 2])
    assert ask_everything(run, folder) == {2}


def test_a_journal_that_names_another_file_is_not_played_back(
    run: Callable[..., Said], folder: Path, tmp_path: Path
) -> None:
    ending = bytes.fromhex("d9d505f920a163d7")
    (folder / "study.sqlite-journal").write_bytes(ending + bytes(600) + ending)
    assert run("frontier", folder)[0] == 2
    assert (folder / "study.sqlite-journal").exists()


def test_a_database_that_is_somebody_elses_file_too_is_not_written(folder: Path) -> None:
    from secateur.errors import StoreError

    os.link(folder / "study.sqlite", folder / "twin")
    with pytest.raises(StoreError, match="another name elsewhere"), Store.writing(folder):
        pass


# --- what is shown ------------------------------------------------------------------------------


def test_words_of_a_store_are_words_everywhere(run: Callable[..., Said], folder: Path) -> None:
    hostile = f"=1+1{MARKUP}{ESCAPE}"
    with contextlib.closing(sqlite3.connect(folder / "study.sqlite")) as db:
        text = db.execute("SELECT result FROM runs WHERE kind = 'point' AND status = 'done'")
        result = json.loads(text.fetchone()[0])
    del result["seal"]
    result["point"].update(method=hostile, floored=["@SUM(A1)"], environment={"-x": "+y"})
    change(folder, "UPDATE runs SET title = ?, reason = ?", hostile, hostile)
    change(
        folder,
        "UPDATE runs SET result = ? WHERE kind = 'point' AND status = 'done'",
        json.dumps(result),
    )
    code, out, err = run("frontier", folder)
    assert code == 0
    assert "[red]$" in out.replace("\n", "")
    assert "[red]" in err
    table = run("export-table", folder)[1]
    cells = [cell for line in table.splitlines() for cell in re.split(r',"?', line)]
    assert not [cell for cell in cells if cell[:1] in "=+@" and cell] or table == ""
    assert "'=1+1" in table
    shown = values(Store(folder))
    assert all("\x1b" not in text for text in json.dumps(shown))
    code, _, err = run("figure", folder, "--out", folder / "a.svg")
    assert code == 0, err
    drawn = (folder / "a.svg").read_text()
    assert "<img" not in drawn
