import threading

import pytest

from secateur.tracking.background_worker import BackgroundWorker


class Told(list[str]):
    """The warnings."""


@pytest.fixture
def told() -> Told:
    return Told()


def test_tasks_are_performed_in_order_by_another_thread(told: Told) -> None:
    done: list[tuple[int, int]] = []
    worker = BackgroundWorker("demo", told.append)
    for number in range(50):
        worker.put(lambda number=number: done.append((number, threading.get_ident())))
    worker.close()
    assert [number for number, _ in done] == list(range(50))
    assert {thread for _, thread in done}.isdisjoint({threading.get_ident()})
    assert (told, worker.broken) == ([], False)


def test_putting_never_waits(told: Told) -> None:
    gate = threading.Event()
    worker = BackgroundWorker("demo", told.append)
    done: list[int] = []
    for number in range(1000):
        worker.put(lambda number=number: (gate.wait(60), done.append(number)))  # type: ignore[func-returns-value]
    assert not done
    gate.set()
    worker.close()
    assert len(done) == 1000


def test_the_first_failure_is_told_once_and_ends_it(told: Told) -> None:
    worker, done = BackgroundWorker("demo", told.append), list[int]()

    def fail() -> None:
        raise ConnectionError("no route to host.\nTraceback ...")

    for task in (fail, fail, lambda: done.append(1)):
        worker.put(task)
    worker.close()
    worker.put(lambda: done.append(2))
    assert told == [
        "Tracking with demo has stopped: ConnectionError: no route to host. The sweep goes on, "
        "and the same command adds what is missing."
    ]
    assert (done, worker.broken) == ([], True)


def test_one_that_hangs_is_left_behind(told: Told) -> None:
    gate = threading.Event()
    worker = BackgroundWorker("demo", told.append, patience=0.1)
    worker.put(lambda: (gate.wait(60), None)[1])
    worker.close()
    gate.set()
    assert len(told) == 1
    assert "no answer for 0.1 s" in told[0]


def test_a_long_task_that_beats_is_waited_for(told: Told) -> None:
    worker = BackgroundWorker("demo", told.append, patience=5)
    pause, done = threading.Event(), list[int]()

    def slow() -> None:
        for beat in range(5):
            pause.wait(0.02)
            worker.beat()
            done.append(beat)

    worker.put(slow)
    worker.close()
    assert (done, told) == ([0, 1, 2, 3, 4], [])
