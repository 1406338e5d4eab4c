"""Announcement: what a study will run that its file does not say, before it does."""

from __future__ import annotations

from secateur.spec import StudySpec
from secateur.study import presets


def announcement(study: StudySpec, source: str) -> str:
    """One sentence about a study file without `model` or `data`; empty where it names both.

    Args:
        study: The settings, the command line's included.
        source: The file; an embedded study says what it is by its name.
    """
    left_out = [name for name in ("model", "data") if name not in study.model_fields_set]
    if not left_out or source in presets.names():
        return ""
    training = study.training
    epochs = f"{training.base_epochs} epochs for the dense net"
    if training.base_epochs == 0:
        epochs = "no training of the dense net"
    each = "each point" if training.budget == "total" else "each level"
    return (
        f"{source} names no {' and no '.join(left_out)}: this is {study.model.name} on "
        f"{study.data.name}, {epochs} and {training.retrain_epochs} for {each}."
    )
