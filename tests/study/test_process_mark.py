import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from secateur.study import process_mark
from secateur.study.process_mark import ProcessMark, own_mark


def of(process: "subprocess.Popen[bytes]") -> ProcessMark:
    born = process_mark._stat(process.pid)[1]
    return replace(own_mark(), pid=process.pid, born=born)


def test_a_process_that_has_ended_is_gone_though_nobody_has_looked_at_its_end() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mark = of(process)
        assert not mark.is_gone
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert mark.is_gone or not Path("/proc").is_dir()
    assert mark.is_gone


def test_another_process_of_the_same_number_is_not_the_one_that_was() -> None:
    own = own_mark()
    assert not own.is_gone
    if own.born:
        assert replace(own, born="1").is_gone


def test_nothing_is_known_of_a_process_elsewhere() -> None:
    assert not ProcessMark("another machine", 1 << 22, "1").is_gone


def test_without_a_folder_of_processes_their_numbers_have_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process_mark, "_PROC", tmp_path)
    own = own_mark()
    assert own.born == ""
    assert not own.is_gone
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert replace(own, pid=process.pid).is_gone
    assert not replace(own, pid=1).is_gone  # another user's, perhaps
