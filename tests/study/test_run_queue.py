from typing import Any

import pytest

from secateur.spec import StudySpec
from secateur.study.plan import Run, plan
from secateur.study.run_queue import RunQueue


def runs(methods: dict[str, Any], **changes: Any) -> tuple[Run, ...]:
    values = {"methods": methods, "levels": [0.5, 0.9], "training": {"base_epochs": 2}, **changes}
    return plan(StudySpec.model_validate(values), {"data": "d"})


def chains(queue: RunQueue) -> list[list[str]]:
    """What is taken when chains are performed one after the other."""
    found = []
    while queue.ready:
        chain = queue.take_chain()
        found.append([run.title for run in chain])
        for run in chain:
            queue.end(run)
    assert not queue
    return found


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        pytest.param(
            {"magnitude": {}},
            [["dense base seed 0"], ["magnitude 0.5 seed 0", "magnitude 0.9 seed 0"]],
            id="the levels of an incremental method follow each other",
        ),
        pytest.param(
            {"l1-filter": {"schedule": "one-shot"}},
            [["dense base seed 0"], ["l1-filter 0.5 seed 0"], ["l1-filter 0.9 seed 0"]],
            id="the levels of a one-shot method could be done at once",
        ),
        pytest.param(
            {"slimming": {"schedule": "incremental"}},
            [
                ["dense base seed 0"],
                ["sparsity training seed 0", "slimming 0.5 seed 0", "slimming 0.9 seed 0"],
            ],
            id="a chain begins with its preparation",
        ),
    ],
)
def test_chains(methods: dict[str, Any], expected: list[list[str]]) -> None:
    assert chains(RunQueue(runs(methods))) == expected


def test_a_copy_of_a_level_does_not_end_its_chain() -> None:
    found = chains(RunQueue(runs({"magnitude": {}, "scratch": {"like": "magnitude"}})))
    assert ["magnitude 0.5 seed 0", "magnitude 0.9 seed 0", "scratch 0.9 seed 0"] in found
    assert ["scratch 0.5 seed 0"] in found


def test_what_is_finished_is_waited_for_by_nobody() -> None:
    base, first, second = runs({"magnitude": {}})
    queue = RunQueue([base, first, second], {base.digest, first.digest})
    assert (len(queue), queue.take()) == (1, second)
    assert (len(queue), queue.ready) == (0, False)


def test_a_failure_takes_those_behind_it_along_and_names_their_parents() -> None:
    base, first, second = runs({"magnitude": {}})
    queue = RunQueue([base, first, second])
    assert queue.take() is base
    assert list(queue.fail(base)) == [(first, base), (second, base)]
    assert not queue


def test_ten_thousand_runs_are_gone_through_once() -> None:
    many = runs({"magnitude": {}, "l1-filter": {}}, seeds=2000)
    assert sum(map(len, chains(RunQueue(many)))) == len(many) == 10_000


def test_what_starts_from_a_run_that_is_made_again_waits_once_more() -> None:
    plan = runs({"magnitude": {}, "l1-filter": {}})
    base = next(run for run in plan if run.is_base)
    queue = RunQueue(plan, {base.digest})
    taken = queue.take()
    assert taken.parents["base"] == base.digest
    queue.make_again({base.digest}, [taken])
    assert len(queue) == len(plan)
    assert queue.take() == base
    assert not queue.ready  # others that could have begun wait, too
    queue.end(base)
    done = []
    while queue.ready:
        done.append(queue.take())
        queue.end(done[-1])
    assert sorted(run.digest for run in done) == sorted(run.digest for run in plan[1:])
    assert not queue


def test_nothing_is_taken_where_nothing_may_start() -> None:
    with pytest.raises(IndexError, match="no run may start"):
        RunQueue(()).take()


def test_what_somebody_else_performs_is_set_aside_and_put_back() -> None:
    plan = runs({"magnitude": {}, "l1-filter": {"schedule": "one-shot"}})
    base, first, second, filters, more = plan
    queue = RunQueue(plan, {base.digest})
    assert queue.set_aside([base.digest, first.digest, "unknown"]) == {first.digest}
    assert queue.set_aside([first.digest]) == set()
    assert first.digest in queue
    assert base.digest not in queue
    assert [queue.take(), queue.take()] == [filters, more]
    assert not queue.ready
    assert len(queue) == 1  # the second level, which waits for the first
    queue.put_back([first.digest, base.digest, "unknown"])
    assert queue.take() == first
    queue.end(first)
    assert queue.take() == second


def test_a_chain_ends_before_a_run_that_somebody_else_performs() -> None:
    base, first, second = plan = runs({"magnitude": {}})
    queue = RunQueue(plan, {base.digest})
    queue.set_aside([second.digest])
    assert queue.take_chain() == (first,)


def test_what_is_put_back_waits_for_a_parent_that_is_made_again_meanwhile() -> None:
    base, first, _ = plan = runs({"magnitude": {}})
    queue = RunQueue(plan, {base.digest})
    queue.set_aside([first.digest])
    queue.make_again({base.digest}, ())
    queue.put_back([first.digest])
    assert queue.take() == base
    assert not queue.ready
    queue.end(base)
    assert queue.take() == first
