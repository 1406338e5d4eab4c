import multiprocessing
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import pytest
import torch

from secateur.errors import TrainingError
from secateur.study import worker
from secateur.study.job import Job
from secateur.study.reports import ReaderGoneError, Report, Reports
from secateur.study.worker import reason_of, work


class OutOfMemoryError(RuntimeError):
    """As torch.cuda names its own."""


SMALLER = "Use a smaller batch size or fewer workers."
NAN = TrainingError("training", "the loss", given="NaN", expected="finite", remedy="Lower it.")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NAN, "training: the loss is NaN, expected finite. Lower it."),
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError(), "ValueError: "),
        (KeyError("conv9"), "KeyError: 'conv9'"),
        (BrokenPipeError("of the user's own"), "BrokenPipeError: of the user's own"),
        (RuntimeError("std::bad_alloc"), f"out of memory: std::bad_alloc. {SMALLER}"),
        (
            KeyboardInterrupt(),
            "KeyboardInterrupt: code of the run has raised it (workers hear no Ctrl-C)",
        ),
        (
            OutOfMemoryError("CUDA out of memory.\nTried to allocate"),
            "out of memory: CUDA out of memory. Use a smaller batch size or fewer workers.",
        ),
        (
            MemoryError(),
            "out of memory: on the CPU. Use a smaller batch size or fewer workers.",
        ),
    ],
)
def test_a_reason_is_one_line(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_torchs_own_word_for_no_memory_on_a_cpu_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert reason_of(caught.value).startswith("out of memory: ")


JOB = cloudpickle.dumps(Job(None, None))  # type: ignore[arg-type]


def messages(
    payload: bytes, monkeypatch: pytest.MonkeyPatch, directory: str = ""
) -> list[tuple[object, ...]]:
    """What `work` sends when it is called in this process."""
    shared = cloudpickle.dumps(SimpleNamespace(registered={}))
    monkeypatch.setattr(worker, "_read", lambda _: shared)
    monkeypatch.setattr(worker, "_end_with_reader", lambda *_: None)
    monkeypatch.setattr(worker, "note_imports", lambda: None)
    monkeypatch.setattr(worker, "prepare_process", lambda *_: None)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != os.getcwd()])
    work(theirs, "a.setup", payload, directory)
    with ours:
        return everything(Reports(ours.fileno()))


def everything(reports: Reports) -> list[Report]:
    found: list[Report] = []
    while (read := reports.read()) is not None:
        found += read
    return found


def test_a_job_that_cannot_be_unpickled_is_a_failure_with_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ((kind, reason, details),) = messages(b"not a pickle", monkeypatch)
    assert kind == "failed"
    assert str(reason).startswith("UnpicklingError: ")
    assert "Traceback" in str(details)


def test_what_lies_where_the_sweep_is_is_found_however_the_command_was_begun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine_only_here.py").write_text("VALUE = 3\n")
    monkeypatch.chdir(tmp_path)

    def perform(*_: object) -> dict[str, int]:
        import mine_only_here  # type: ignore[import-not-found]

        return {"point": mine_only_here.VALUE}

    monkeypatch.setattr(worker, "perform", perform)
    assert messages(JOB, monkeypatch, str(tmp_path)) == [("done", {"point": 3})]


def test_epochs_and_the_result_are_sent_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from secateur.training.fit import Epoch

    def perform(job: object, on_epoch: object) -> dict[str, str]:
        on_epoch(Epoch(1, 0.5, 0.25))  # type: ignore[operator]
        return {"point": "here"}

    monkeypatch.setattr(worker, "perform", perform)
    sent = messages(JOB, monkeypatch)
    epoch = {"epoch": 1, "loss": 0.5, "val_accuracy": 0.25}
    assert sent == [("epoch", epoch), ("done", {"point": "here"})]


@pytest.mark.parametrize("found", [{1, 2}, {"point": torch.ones(1)}])
def test_a_result_that_json_has_no_word_for_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, found: object
) -> None:
    monkeypatch.setattr(worker, "perform", lambda *_: found)
    ((kind, reason, _),) = messages(JOB, monkeypatch)
    assert (kind, "not JSON serializable" in reason) == ("failed", True)


def test_a_long_traceback_loses_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    def perform(*_: object) -> None:
        raise ValueError("x" * (50 << 20))

    monkeypatch.setattr(worker, "perform", perform)
    ((_, reason, details),) = messages(JOB, monkeypatch)
    assert len(reason) < 5000
    assert len(details) < 25_000


def test_a_sweep_that_is_gone_is_no_failure_to_tell_anyone_about(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def perform(job: object, on_epoch: object) -> None:
        raise ReaderGoneError

    monkeypatch.setattr(worker, "perform", perform)
    assert messages(JOB, monkeypatch) == []
    assert capfd.readouterr() == ("", "")
