import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from secateur.study.reports import PipeLostError, ReaderGoneError, Reporter, Reports


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ours, theirs = os.pipe()
    yield ours, theirs
    for end in (ours, theirs):
        with suppress(OSError):
            os.close(end)


def test_reports_come_in_order_and_halves_are_waited_for_by_nobody(pipe: tuple[int, int]) -> None:
    reports, reporter = Reports(pipe[0]), Reporter(pipe[1])
    reporter.send("epoch", {"loss": 0.1})
    reporter.send("failed", "why", "where")
    os.write(pipe[1], b'["done"')
    assert reports.read() == [("epoch", {"loss": 0.1}), ("failed", "why", "where")]
    os.write(pipe[1], b", {}]\n")
    assert reports.read() == [("done", {})]
    os.close(pipe[1])
    assert reports.read() is None


@pytest.mark.parametrize("line", [b"hello\n", b"[]\n", b'["done"]\n', b'["other", 1]\n', b"\xff\n"])
def test_what_is_no_report_is_told_from_one(pipe: tuple[int, int], line: bytes) -> None:
    os.write(pipe[1], line)
    with pytest.raises(ValueError):  # noqa: PT011
        Reports(pipe[0]).read()


def test_nobody_reads_any_more(pipe: tuple[int, int]) -> None:
    reporter = Reporter(pipe[1])
    os.close(pipe[0])
    with pytest.raises(ReaderGoneError):
        reporter.send("done", {})


def test_nothing_is_written_into_a_file_that_has_the_pipes_number(
    pipe: tuple[int, int], tmp_path: os.PathLike[str]
) -> None:
    reporter = Reporter(pipe[1])
    os.close(pipe[1])
    with pytest.raises(PipeLostError):
        reporter.send("done", {})
    own = os.open(os.path.join(tmp_path, "own"), os.O_CREAT | os.O_WRONLY)
    assert own == pipe[1]
    with pytest.raises(PipeLostError):
        reporter.send("done", {})
    assert os.stat(own).st_size == 0
