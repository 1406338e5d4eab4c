import csv
import io
import json
from pathlib import Path
from typing import Any

from secateur.report.records import records
from secateur.study.store import Store
from secateur.study.study import CONTROLS


def test_csv_is_what_a_pipe_gets(undisturbed: Any) -> None:
    done = undisturbed.run("export-table", "run")
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    points = Store(undisturbed.folder / "run").points()
    assert [row["digest"] for row in rows] == [point.digest for point in points]
    assert [int(row["nonzero"]) for row in rows] == [point.nonzero for point in points]


def test_the_suffix_says_what_is_written(undisturbed: Any, tmp_path: Path) -> None:
    from pyarrow import parquet

    wanted = records(Store(undisturbed.folder / "run").points(), CONTROLS)
    out = tmp_path / "new" / "points.parquet"
    done = undisturbed.run("export-table", "run", "--out", str(out))
    assert (done.returncode, done.stdout.split()) == (0, ["Table:", str(out)])
    assert parquet.read_table(out).to_pylist() == wanted
    named = tmp_path / "points.txt"
    done = undisturbed.run("export-table", "run", "--to", "json", "--out", str(named))
    assert done.returncode == 0
    assert json.loads(named.read_text()) == wanted


def test_parquet_is_no_text(undisturbed: Any) -> None:
    done = undisturbed.run("export-table", "run", "--to", "parquet")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--out is not given" in done.stderr


def test_an_unknown_suffix(undisturbed: Any) -> None:
    done = undisturbed.run("export-table", "run", "--out", "points.xlsx")
    assert done.returncode == 2
    assert "one of csv, json, parquet" in done.stderr


def test_a_suffix_that_denies_the_format_is_refused(undisturbed: Any, tmp_path: Path) -> None:
    out = tmp_path / "points.csv"
    done = undisturbed.run("export-table", "run", "--to", "json", "--out", str(out))
    assert (done.returncode, done.stdout) == (2, "")
    assert "points.csv is a name for csv, expected one that ends in .json" in done.stderr
    assert not out.exists()
