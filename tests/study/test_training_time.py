import pytest

from secateur.study.training_time import along

# A base net, a preparation of it, a chain of two levels, a net from scratch like the second level.
PARENTS = {
    "base": {},
    "slim": {"base": "base"},
    "one": {"base": "base", "slim": "slim"},
    "two": {"base": "base", "slim": "slim", "previous": "one"},
    "scratch": {"like": "two"},
}


def test_each_run_before_counts_once() -> None:
    seconds = {"base": 10.0, "slim": 5.0, "one": 2.0, "two": 3.0, "scratch": 20.0}
    assert along(PARENTS, seconds) == {
        "base": 10.0,
        "slim": 15.0,
        "one": 17.0,
        "two": 20.0,
        "scratch": 20.0,
    }


@pytest.mark.parametrize("lost", ["base", "slim"])
def test_what_is_not_known_of_one_is_not_known_of_what_started_from_it(lost: str) -> None:
    seconds = {name: None if name == lost else 1.0 for name in PARENTS}
    found = along(PARENTS, seconds)
    assert found["two"] is None
    assert found["scratch"] == 1.0


def test_a_circle_in_somebody_elses_store_ends() -> None:
    assert along({"a": {"base": "b"}, "b": {"base": "a"}}, {"a": 1.0, "b": 2.0}) == {
        "a": 3.0,
        "b": 3.0,
    }


def test_a_parent_that_the_store_does_not_have_makes_the_time_unknown() -> None:
    assert along({"a": {"base": "gone"}}, {"a": 1.0}) == {"a": None}
