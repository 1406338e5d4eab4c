"""A quiet exporter: nothing is said meanwhile, and afterwards all is said again."""

import logging
import warnings

import pytest

from secateur.foundation.quiet_exporter import quiet_exporter


def test_notes_are_kept_back_only_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("torch.onnx")
    before = log.level
    with quiet_exporter():
        warnings.warn("a note", UserWarning, stacklevel=1)
        log.warning("a note")
    assert log.level == before
    assert not caplog.records
    log.warning("a word")
    assert [record.message for record in caplog.records] == ["a word"]
