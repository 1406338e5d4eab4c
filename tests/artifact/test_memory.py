"""Memory: what a call takes is seen, what it gives back before is not."""

import pytest
import torch

from secateur.artifact import memory
from secateur.artifact.memory import working_memory


def test_working_memory_sees_what_a_call_takes() -> None:
    small, large = (working_memory(lambda n=n: torch.ones(n).sum()) for n in (1, 1 << 24))
    if small is None or large is None:
        pytest.skip("the system does not tell")
    assert small < 1 << 22
    assert large >= 60 << 20


def test_a_system_that_does_not_tell_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATUS", memory._STATUS.with_name("no such file"))
    assert working_memory(lambda: None) is None
