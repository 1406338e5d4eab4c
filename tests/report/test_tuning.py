"""A search in a table and in words."""

from dataclasses import replace

from rich.console import Console

from secateur.report.tuning import audit_words, setting_text, tuning_table, value_text
from secateur.tuning.record import TrialRecord, TuningRecord

TRIALS = (
    TrialRecord(0, "done", {"rate": 0.001, "[red]x": "adam"}, 0.5, 2, 1.25, own=True),
    TrialRecord(1, "failed", {"rate": 0.0123456, "[red]x": "\x1b[2J"}, epochs=1, reason="broken"),
    TrialRecord(2, "done", {"rate": 0.1}, 0.7, 2, begun=3),
)
RECORD = TuningRecord(
    "small", "base", "validation accuracy", "share", True, "none", 9,
    (("rate", "0 to 1"), ("[red]x", "adam")), TRIALS,
)  # fmt: skip


def shown(record: TuningRecord) -> list[str]:
    console = Console(width=160, color_system=None)
    with console.capture() as text:
        console.print(tuning_table(record))
    return [line.rstrip() for line in text.get().splitlines() if line.strip()]


def test_each_trial_is_a_row_and_words_of_others_are_text() -> None:
    head, _, first, second, third = shown(RECORD)
    assert head.split() == [
        "trial",
        "validation",
        "accuracy",
        "rate",
        "[red]x",
        "epochs",
        "seconds",
    ]
    assert first.split()[:6] == ["0", "0.5000", "0.001", "adam", "2", "1.2"]
    assert first.endswith("the study's own settings")
    assert "0.01235" in second
    assert "\x1b" not in second
    assert second.endswith("failed, broken")
    assert third.endswith("begun 3 times")


def test_the_audit_is_in_words() -> None:
    words = audit_words(replace(RECORD, before=7))
    assert words.startswith("3 trials consumed 5 epochs in 1 s of runs.")
    assert "earlier search had consumed 7 epochs" in words
    assert "Best: trial 2, validation accuracy 0.7000; the study's own settings: 0.5000." in words
    assert "with the study's own settings" in audit_words(replace(RECORD, trials=TRIALS[:1]))
    assert audit_words(replace(RECORD, trials=TRIALS[1:2])).endswith("None is done.")
    assert "own" not in audit_words(replace(RECORD, trials=(replace(TRIALS[2], number=0),)))


def test_numbers_are_short() -> None:
    assert value_text(replace(RECORD, unit=""), 123.456789) == "123.46"
    assert value_text(RECORD, None) == "-"
    assert setting_text(True) == "true"
