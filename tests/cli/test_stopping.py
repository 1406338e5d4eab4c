import os
import signal
import threading

import pytest

from secateur.cli.stopping import Terminated, terminable


def test_the_signal_ends_the_block_once_and_is_what_it_was_behind_it() -> None:
    def told_twice() -> None:
        with terminable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # a second one does not cut the end short

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated):
        told_twice()
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_thread_may_sweep_too() -> None:
    done = []

    def work() -> None:
        with terminable():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_the_first_ctrl_c_is_answered_at_once_and_the_second_is_pythons(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def pressed_twice() -> None:
        with terminable():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                assert "Stopping" in capfd.readouterr().err
                assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        pressed_twice()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_answer_of_somebody_elses_to_ctrl_c_stays() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with terminable():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
