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
