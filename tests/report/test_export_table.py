import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from study_points import CONTROLS, study

from secateur.errors import UnknownNameError, UsageError
from secateur.report.export_table import format_of, to_csv, to_json, to_parquet
from secateur.report.records import records


def test_csv_reads_back_exactly() -> None:
    points = [replace(study(1)[0], floored=('a "quoted", name\nof two lines',)), *study(1)[1:]]
    rows = list(csv.DictReader(io.StringIO(to_csv(points, CONTROLS).decode(), newline="")))
    wanted = records(points, CONTROLS)
    assert len(rows) == len(wanted)
    for row, record in zip(rows, wanted, strict=True):
        assert list(row) == list(record)
        for name, value in record.items():
            if value is None:
                assert row[name] == ""
            elif isinstance(value, bool):
                assert row[name] == str(value).lower()
            else:
                assert type(value)(row[name]) == value


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\n=1"),
        ("\n=1", "'\n=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1+1", "a;'=1+1"),
        ("a=1;b=2", "a=1;b=2"),
        ("-", "-"),
        ("magnitude", "magnitude"),
    ],
)
def test_text_is_no_formula_and_numbers_are_numbers(name: str, cell: str) -> None:
    point = replace(study(1)[0], method=name, environment={"cpu": name}, seconds=-1.5)
    (row,) = csv.DictReader(io.StringIO(to_csv([point]).decode(), newline=""))
    assert (row["method"], row["environment_cpu"], row["seconds"]) == (cell, cell, "-1.5")


def test_json_reads_back_exactly() -> None:
    assert json.loads(to_json(study(), CONTROLS)) == records(study(), CONTROLS)


def test_parquet_reads_back_exactly_and_is_typed() -> None:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(to_parquet(study(), CONTROLS)))
    assert table.to_pylist() == records(study(), CONTROLS)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["macs"], kinds["sparsity"], kinds["on_frontier"]) == ("int64", "double", "bool")
    # The same type where nothing was measured.
    assert kinds["latency_64_n"] == "int64"
    assert parquet.read_table(io.BytesIO(to_parquet([]))).num_rows == 0


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[parquet\]'"):
        to_parquet(study(1))


@pytest.mark.parametrize("name", ["points.xlsx", "points"])
def test_an_unknown_suffix(name: str) -> None:
    with pytest.raises(UnknownNameError, match="one of csv, json, parquet"):
        format_of(Path(name))
