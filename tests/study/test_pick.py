from dataclasses import replace
from fractions import Fraction

import pytest

from secateur.errors import UnknownNameError, UsageError
from secateur.study.aggregate import replicates
from secateur.study.frontier import frontier, hypervolume
from secateur.study.pick import breakpoints, pick

from .frontier_points import CONTROLS, names, point, rmse


class TestPick:
    study = (
        point(0, 92, "dense"),
        point(50, 92, step=0),
        point(80, 90, step=1),
        point(90, 85, step=2),
        point(95, 99, "random-filter"),
    )

    def test_the_sparsest_that_meets_the_floor(self) -> None:
        found = pick(self.study, min_accuracy=0.9, controls=CONTROLS)
        assert found.met
        assert found.floor == 0.9
        assert names([found.replicate]) == [("magnitude", 1)]
        assert str(found) == (
            "Pick for a validation accuracy of at least 0.9: "
            "magnitude at 0.8: sparsity 0.8000, validation accuracy 0.900 (n=1)."
        )

    @pytest.mark.parametrize(("within", "step"), [(0, 0), (0.01, 0), (0.02, 1), (0.07, 2)])
    def test_within_of_dense_is_exact_in_decimals(self, within: float, step: int) -> None:
        found = pick(self.study, within=within, controls=CONTROLS)
        assert names([found.replicate]) == [("magnitude", step)]
        assert found.floor == float(Fraction(92, 100) - Fraction(str(within)))

    def test_the_mean_must_meet_it_not_the_best_seed(self) -> None:
        lucky = [point(95, 88, "slimming", seed=0), point(95, 91, "slimming", seed=1)]
        found = pick([*self.study, *lucky], min_accuracy=0.9, controls=CONTROLS)
        assert names([found.replicate]) == [("magnitude", 1)]

    def test_when_none_meets_it_the_best_is_named(self) -> None:
        found = pick(self.study, min_accuracy=0.95, controls=CONTROLS)
        assert not found.met
        # As accurate as dense, and sparser.
        assert names([found.replicate]) == [("magnitude", 0)]
        assert str(found) == (
            "No level reaches a validation accuracy of 0.95; the best is "
            "magnitude at 0.5: sparsity 0.5000, validation accuracy 0.920 (n=1)."
        )

    def test_dense_can_be_all_that_is_left(self) -> None:
        study = [replace(point(0, 92, "dense"), level=()), point(50, 80)]
        found = pick(study, min_accuracy=0.9, controls=CONTROLS)
        assert "dense: sparsity 0.0000" in str(found)

    def test_test_accuracy_decides_nothing(self) -> None:
        # In these points test accuracy runs against validation accuracy.
        swapped = [replace(p, scores=(p.val, replace(p.val, split="test"))) for p in self.study]
        one, other = (pick(study, min_accuracy=0.9) for study in (self.study, swapped))
        assert names([one.replicate]) == names([other.replicate])
        with pytest.raises(UsageError, match="choose nothing"):
            pick(self.study, min_accuracy=0.9, x="test_accuracy")

    def test_another_axis_and_direction(self) -> None:
        dear = replace(point(80, 95, "slimming"), macs=900)
        found = pick([*self.study, dear], min_accuracy=0.9, x="macs", controls=CONTROLS)
        assert names([found.replicate]) == [("magnitude", 1)]

    def test_ties_go_to_the_more_accurate_then_to_the_first(self) -> None:
        study = [point(50, 91, "b"), point(50, 92, "c"), point(50, 92, "a")]
        assert names([pick(study, min_accuracy=0.9).replicate]) == [("a", 0)]

    @pytest.mark.parametrize("share", [90.0, -0.1, float("nan")])
    def test_a_floor_is_a_share(self, share: float) -> None:
        with pytest.raises(UsageError, match="a share from 0 to 1"):
            pick(self.study, min_accuracy=share)

    def test_one_floor_is_needed(self) -> None:
        with pytest.raises(UsageError, match="is not given, expected min_accuracy, min_quality"):
            pick(self.study)
        with pytest.raises(UsageError, match="is given twice, expected one of min_accuracy"):
            pick(self.study, min_accuracy=0.9, within=0.1)

    def test_within_needs_the_dense_net(self) -> None:
        with pytest.raises(UsageError, match="without the dense net"):
            pick(self.study[1:], within=0.01)

    def test_of_nothing(self) -> None:
        with pytest.raises(UsageError, match="the study is empty"):
            pick([], min_accuracy=0.9)


def test_nothing_is_picked_from_chance() -> None:
    lost = replace(point(50, 20), majority=25)
    found = pick([lost], min_accuracy=0.1)
    assert not found.met
    assert "Every level has collapsed to the accuracy of a guess" in str(found)
    dense = replace(point(0, 30, method="dense"), majority=28)
    assert not pick([lost, dense], within=0.5).met
    alive = replace(point(40, 60, step=1), majority=25)
    assert pick([lost, dense, alive], within=0.0).replicate.step == 1


ERRORS = (
    rmse(0, 10.0, "dense"),
    rmse(50, 10.5, step=0),
    rmse(80, 12.0, step=1),
    rmse(90, 11.0, "l1-filter"),
    rmse(95, 30.0, "l1-filter", step=1),
)


def test_an_error_dominates_the_other_way_round() -> None:
    assert names(frontier(replicates(ERRORS))) == [
        ("l1-filter", 1), ("l1-filter", 0), ("magnitude", 0), ("dense", 0),
    ][::-1]  # fmt: skip


def test_an_error_is_bounded_from_above() -> None:
    found = pick(ERRORS, at_most={"val_rmse": 11}, controls=CONTROLS)
    assert (found.replicate.method, found.met, found.floor) == ("l1-filter", True, 11.0)
    assert str(found).startswith("Pick for a validation RMSE of at most 11: l1-filter at 0.9")
    assert pick(ERRORS, within=0.5, controls=CONTROLS).replicate.method == "magnitude"
    none = pick(ERRORS, at_most={"val_rmse": 9.5})
    assert (none.met, none.replicate.method) == (False, "dense")


def test_accuracy_is_no_bound_of_an_error() -> None:
    with pytest.raises(UsageError, match=r"validation RMSE, which this study measures.*at_most="):
        pick(ERRORS, min_accuracy=0.9)
    with pytest.raises(UnknownNameError):
        pick(ERRORS, at_least={"val_accuracy": 0.9})
    with pytest.raises(UsageError, match="may choose"):
        pick(ERRORS, at_most={"test_rmse": 9})


def test_a_budget_takes_the_best_score() -> None:
    found = pick(ERRORS, at_most={"macs": 200}, controls=CONTROLS)
    assert (found.replicate.method, found.replicate.step) == ("l1-filter", 0)
    assert "MACs of at most 200" in str(found)
    both = pick(ERRORS, at_most={"macs": 600, "val_rmse": 10.5})
    assert both.replicate.method == "magnitude"
    assert not pick(ERRORS, at_most={"macs": 1}).met


def test_a_level_that_was_not_measured_meets_no_bound() -> None:
    assert not pick(ERRORS, at_most={"bytes": 10**9}).met


def test_breakpoints_of_an_error_get_harder() -> None:
    found = breakpoints(replicates(ERRORS), controls=CONTROLS)
    assert [one.floor for one in found] == [30, 12, 11, Fraction(21, 2), 10, None]
    for one in found[:-1]:
        picked = pick(ERRORS, at_most={"val_rmse": float(one.floor or 0)}, controls=CONTROLS)
        assert picked.replicate == one.level


def test_an_error_collapses_to_its_baseline() -> None:
    assert replace(ERRORS[4], baseline=30.0).collapsed
    assert not replace(ERRORS[4], baseline=30.5).collapsed
    assert ERRORS[4].collapsed is None


def test_the_area_under_errors_has_a_reference_of_its_own() -> None:
    assert hypervolume(ERRORS[:2], reference=(0, 20)) == pytest.approx(0.5 * 9.5)


def test_bounds_are_said_without_exponents() -> None:
    found = pick(ERRORS, at_most={"macs": 1_234_567.0, "bytes": 200_000})
    assert "MACs of at most 1234567 and bytes on disk of at most 200000" in str(found)


def test_what_was_never_measured_is_told_so() -> None:
    assert str(pick(ERRORS, at_most={"bytes": 1})).endswith(", bytes on disk not measured.")


def test_a_floor_is_called_by_the_option_that_was_given() -> None:
    for option in ("min_accuracy", "min_quality", "within"):
        with pytest.raises(UsageError, match=f"picking a level: {option} is 2"):
            pick(TestPick.study, **{option: 2.0})  # type: ignore[arg-type]
