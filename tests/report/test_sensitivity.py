from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from secateur.point import Score, Share, accuracy
from secateur.pruning.sensitivity import LayerCut, Sensitivity
from secateur.report.sensitivity import (
    SensitivityPicture,
    sensitivity_note,
    sensitivity_records,
    sensitivity_table,
)


def found(layers: int = 2, score: Score | None = None) -> Sensitivity:
    cuts = tuple(
        LayerCut(f"l{n}.weight", (f"l{n}.weight", "x")[: n + 1], level, Share(4, 8), made)
        for n in range(layers)
        for level in (0.5, 0.9)
        for made in [score or accuracy("val", 8 - n % 8, 10)]
    )
    return Sensitivity("magnitude", score or accuracy("val", 9, 10), cuts, 8 * layers)


def shown(one: Sensitivity) -> str:
    out = StringIO()
    Console(file=out, width=100).print(sensitivity_table(one))
    return out.getvalue()


def test_the_table_has_a_row_a_layer_and_a_column_a_level() -> None:
    lines = shown(found()).splitlines()
    assert lines[0].split() == ["layer", "weights", "0.5", "0.9"]
    assert lines[2].split() == ["l0.weight", "8", "0.8", "0.8"]
    assert lines[3].split() == ["l1.weight", "+1", "8", "0.7", "0.7"]
    assert sensitivity_note(found()) == (
        "Validation accuracy (higher is better), 0.9 uncut; each layer cut alone by magnitude, "
        "without retraining."
    )


def test_the_unit_and_the_direction_are_said() -> None:
    score = Score("rmse", "val", 2.5, False, label="error", unit="mm")
    assert "Validation error in mm (lower is better)" in sensitivity_note(found(score=score))


def test_records_have_their_integers() -> None:
    first = sensitivity_records(found())[0]
    assert first["layer"] == "l0.weight"
    assert (first["zeros"], first["weights"], first["val_accuracy"]) == (4, 8, 0.8)
    assert first["loss"] == pytest.approx(0.1)


@pytest.mark.parametrize("layers", [1, 60])
def test_the_same_values_are_the_same_picture(layers: int, tmp_path: Path) -> None:
    one, other = (SensitivityPicture(found(layers)) for _ in range(2))
    for form in ("png", "svg", "pdf"):
        assert one.bytes(form) == other.bytes(form)
    assert b"l0.weight" in one.bytes("svg") or layers > 1
    assert one.save(tmp_path / "a.pdf").exists()
    assert "l0.weight" in found(1).layers
    assert one.alternative.startswith("validation accuracy (higher is better) with each of")


def test_a_score_that_nothing_changes_is_drawn_too() -> None:
    same = found(score=accuracy("val", 9, 10))
    assert SensitivityPicture(same).bytes("png")
