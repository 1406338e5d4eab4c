from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from secateur.errors import UsageError
from secateur.spec import BaseSpec, MethodSpec, StudySpec
from secateur.study.own_word import check_harmless, is_harmless

PLAIN: dict[str, Any] = {"methods": {"dense": {}}}


def check(**changes: Any) -> None:
    check_harmless(
        StudySpec.model_construct(**{**dict(StudySpec.model_validate(PLAIN)), **changes}),
        Path("run"),
    )


def named(name: str, **options: Any) -> Any:
    return StudySpec.model_validate(PLAIN).model.model_copy(
        update={"name": name, "options": options}
    )


def test_a_study_of_registered_names_and_numbers_is_harmless() -> None:
    check()
    check(model=named("conv4", width=2), data=named("shapes", train=100, flip=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": named("mynets:build")},
        {"model": named("conv4", path="/etc/passwd")},
        {"data": named("folder", root="pictures")},
        {"data": named("given")},
        {"task": named("mine:Task")},
        {"train": "mine:train"},
        {"evaluate": "mine:evaluate"},
        {"base": BaseSpec(checkpoint="weights.pt")},
        {"masks": "masks.safetensors"},
        {"methods": {"magnitude": MethodSpec(scores="/etc/passwd")}},
    ],
    ids=repr,
)
def test_what_would_be_imported_or_opened_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"by the word of run alone.*Give the study file"):
        check(**changes)


def test_what_is_handed_over_does_not_count() -> None:
    study = StudySpec.model_construct(
        **{**dict(StudySpec.model_validate(PLAIN)), "model": named("mynets:build")}
    )
    check_harmless(study, Path("run"), {"model"})
    with pytest.raises(UsageError, match="the model"):
        check_harmless(study, Path("run"), {"data"})


@pytest.mark.parametrize(
    ("value", "harmless"),
    [(1, True), (None, True), ("relu", True), ([1, "a"], True), ("a/b", False), ({}, False)],
)
def test_numbers_and_plain_words(value: object, harmless: bool) -> None:
    assert is_harmless(value) is harmless
