from dataclasses import replace

import pytest
from study_points import CONTROLS, point, study

from secateur.report.caption import heading, note
from secateur.report.plot import plot


@pytest.mark.parametrize(
    ("y", "title", "role"),
    [
        ("test_accuracy", "Test accuracy (4,000 examples)", "was scored once and chose nothing"),
        ("val_accuracy", "Validation accuracy (2,000 examples)", "made the choices"),
    ],
)
def test_it_says_which_accuracy_is_drawn(y: str, title: str, role: str) -> None:
    shown = plot(study(), x="conv_sparsity", y=y, controls=CONTROLS)
    assert heading(shown) == title
    assert role in note(shown, cut=False)


def test_it_owns_up_to_the_seeds() -> None:
    assert "One seed: no band" in note(plot(study(1)), cut=False)
    assert "over 3 seeds" in note(plot(study(3)), cut=False)
    uneven = [p for p in study(3) if p.seed < 2 or p.method != "slimming"]
    assert "over 2-3 seeds" in note(plot(uneven), cut=False)


def test_it_owns_up_to_what_is_not_shown() -> None:
    assert "cuts off the widest bands" in note(plot(study()), cut=True)
    assert "cuts" not in note(plot(study()), cut=False)
    part = plot(study(), methods=["magnitude"], controls=CONTROLS)
    assert "the whole study's frontier" in note(part, cut=False)
    assert "Grey" not in note(part, cut=False)
    assert "Grey and dashed: controls" in note(plot(study(), controls=CONTROLS), cut=False)


def test_one_dense_net_needs_no_legend() -> None:
    assert "Black" not in note(plot([point("dense", 0, 0, 0.0, 1800)]), cut=False)


def test_crosses_are_explained_where_there_are_any() -> None:
    points = [replace(one, majority=one.val.part if one.step == 4 else 0) for one in study()]
    assert "Crosses: collapsed" in note(plot(points), cut=False)
    assert "Crosses" not in note(plot(study()), cut=False)
