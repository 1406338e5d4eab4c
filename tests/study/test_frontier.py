from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.errors import UnknownNameError, UsageError
from secateur.point import Epochs, Point
from secateur.study.aggregate import replicates
from secateur.study.frontier import frontier, hypervolume, hypervolumes
from secateur.study.pick import pick

from .frontier_points import CONTROLS, names, point, rmse

pairs = st.tuples(st.integers(0, 12), st.integers(0, 12))
points = st.lists(pairs, max_size=12).map(
    lambda drawn: [point(zeros, correct, step=i) for i, (zeros, correct) in enumerate(drawn)]
)


def beats(one: Point, other: Point) -> bool:
    """Dominance said a second way: at least as good on both, and not the same."""
    ours = (one.sparsity.part, one.val.part)
    theirs = (other.sparsity.part, other.val.part)
    return ours != theirs and ours[0] >= theirs[0] and ours[1] >= theirs[1]


class TestFrontier:
    def test_golden(self) -> None:
        study = [
            point(50, 92, step=0),
            point(90, 88, step=1),
            point(95, 70, step=2),
            point(60, 90, "slimming", 0),
            point(90, 87, "slimming", 1),  # beaten by magnitude's step 1
            point(0, 91, "dense", 0),  # beaten by magnitude's step 0
        ]
        expected = [("magnitude", 0), ("slimming", 0), ("magnitude", 1), ("magnitude", 2)]
        assert names(frontier(study)) == expected
        assert names(frontier(replicates(study))) == expected

    def test_replicates_compete_by_their_means(self) -> None:
        study = [
            point(50, 80, step=0, seed=0),
            point(50, 90, step=0, seed=1),  # lucky seed; the mean is 85
            point(50, 86, "slimming", seed=0),
            point(50, 86, "slimming", seed=1),
        ]
        assert names(frontier(replicates(study))) == [("slimming", 0)]

    def test_ties_are_both_on_it(self) -> None:
        study = [point(50, 90), point(50, 90, "slimming"), point(40, 90, "combined")]
        assert names(frontier(study)) == [("magnitude", 0), ("slimming", 0)]

    def test_tied_means_tie_exactly(self) -> None:
        one_seed = [point(10, 10)]
        three = [point(10, 10, "slimming", seed=seed) for seed in range(3)]
        assert len(frontier(replicates(one_seed + three))) == 2

    def test_controls_take_no_part_but_dense_does(self) -> None:
        study = [
            point(50, 80),
            point(60, 99, "random-filter"),
            point(50, 99, "scratch"),
            point(0, 90, "dense"),
        ]
        assert names(frontier(study, controls=CONTROLS)) == [("dense", 0), ("magnitude", 0)]
        assert names(frontier(study)) == [("random-filter", 0)]

    def test_each_axis_knows_its_direction(self) -> None:
        small, accurate, worse = point(90, 80), point(50, 90, step=1), point(40, 90, step=2)
        study = [small, accurate, worse]
        assert frontier(study, ("macs", "val_accuracy")) == (accurate, small)
        assert frontier(study, ("nonzero",)) == (small,)

    def test_three_axes(self) -> None:
        cheap = replace(point(40, 80, step=1), epochs=Epochs(1, 0, 0))
        study = [point(50, 90), cheap, point(45, 85, step=2)]
        axes = ("sparsity", "val_accuracy", "epochs")
        assert names(frontier(study, axes)) == [("magnitude", 1), ("magnitude", 0)]

    def test_of_nothing(self) -> None:
        assert frontier([point(1, 1)][:0]) == ()

    @pytest.mark.parametrize("axes", [("sparsity", "test_accuracy"), ()])
    def test_test_accuracy_never_chooses(self, axes: tuple[str, ...]) -> None:
        with pytest.raises(UsageError, match="choose nothing"):
            frontier([point(50, 90)], axes)

    def test_unknown_axis(self) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean 'macs'"):
            frontier([point(50, 90)], ("mac", "val_accuracy"))

    @given(points)
    def test_is_an_antichain(self, drawn: list[Point]) -> None:
        found = frontier(drawn)
        assert not any(beats(one, other) for one in found for other in found)

    @given(points)
    def test_whatever_is_off_it_is_beaten_by_something_on_it(self, drawn: list[Point]) -> None:
        found = frontier(drawn)
        for candidate in drawn:
            assert (candidate in found) != any(beats(one, candidate) for one in found)

    @given(points.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
    def test_ignores_the_order(self, both: tuple[list[Point], list[Point]]) -> None:
        assert frontier(both[0]) == frontier(both[1])

    @given(points)
    def test_is_its_own_frontier(self, drawn: list[Point]) -> None:
        assert frontier(frontier(drawn)) == frontier(drawn)


class TestHypervolume:
    # Staircase over (0, 0): 0.9 x 0.5 from the sparse point, then a strip 0.4 high and 0.5 wide.
    stairs = (point(50, 90), point(90, 50, step=1), point(40, 40, step=2))

    def test_golden(self) -> None:
        assert hypervolume(self.stairs) == 0.65
        assert hypervolume(replicates(self.stairs)) == 0.65

    def test_golden_above_chance(self) -> None:
        # 0.9 x 0.4 + 0.5 x 0.4
        assert hypervolume(self.stairs, reference=(0, 0.1)) == 0.56
        # (0.9 - 0.5) x 0.5; the first point is no sparser than the reference.
        assert hypervolume(self.stairs, reference=(0.5, 0)) == 0.2

    def test_lower_is_better(self) -> None:
        # Compact MACs 500 and 100 against 1000: 900 x 0.5 + 500 x 0.4.
        axes = ("macs", "val_accuracy")
        assert hypervolume(self.stairs, axes, (1000, 0)) == 650.0

    def test_the_dense_net_adds_nothing(self) -> None:
        assert hypervolume([*self.stairs, point(0, 100, "dense")]) == 0.65

    def test_of_nothing(self) -> None:
        assert hypervolume([]) == 0.0

    def test_one_a_method(self) -> None:
        study = [*self.stairs, point(50, 50, "slimming"), point(0, 92, "dense")]
        assert hypervolumes(study) == {"dense": 0.0, "magnitude": 0.65, "slimming": 0.25}

    def test_test_accuracy_is_refused(self) -> None:
        with pytest.raises(UsageError, match="choose nothing"):
            hypervolume(self.stairs, ("sparsity", "test_accuracy"))

    @given(points)
    def test_counts_the_unit_squares_below(self, drawn: list[Point]) -> None:
        squares = {(i, j) for p in drawn for i in range(p.sparsity.part) for j in range(p.val.part)}
        assert hypervolume(drawn) == float(Fraction(len(squares), 10_000))

    @given(points.filter(bool), pairs)
    def test_a_dominated_point_changes_nothing(
        self, drawn: list[Point], drop: tuple[int, int]
    ) -> None:
        model = drawn[0]
        worse = point(
            max(model.sparsity.part - drop[0], 0), max(model.val.part - drop[1], 0), step=99
        )
        assert hypervolume([*drawn, worse]) == hypervolume(drawn)

    @given(points)
    def test_the_frontier_holds_all_of_it(self, drawn: list[Point]) -> None:
        assert hypervolume(frontier(drawn)) == hypervolume(drawn)

    @given(points.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
    def test_ignores_the_order(self, both: tuple[list[Point], list[Point]]) -> None:
        assert hypervolume(both[0]) == hypervolume(both[1])


def test_what_has_collapsed_is_on_no_frontier_and_is_not_picked() -> None:
    alive, sparse = point(50, 80, step=0), point(80, 70, step=1)
    lost = point(95, 20, step=2)
    known = [replace(one, majority=20) for one in (alive, sparse, lost)]
    assert [one.step for one in frontier(known)] == [0, 1]
    assert [one.step for one in frontier(replicates(known))] == [0, 1]
    assert pick(known, min_accuracy=0.1).replicate.step == 1
    assert hypervolumes(known) == hypervolumes(known[:2])
    # A store that does not know the most frequent class marks nothing.
    assert [one.step for one in frontier([alive, sparse, lost])] == [0, 1, 2]
    assert pick([alive, sparse, lost], min_accuracy=0.1).replicate.step == 2


def test_one_lost_seed_is_enough() -> None:
    good, bad = (replace(point(50, n, seed=n), majority=20) for n in (80, 21))
    assert frontier(replicates([good, bad])) == ()
    assert len(frontier(replicates([good]))) == 1


def test_an_error_is_measured_from_what_a_guess_makes() -> None:
    errors = [replace(rmse(*one), baseline=20.0) for one in ((0, 10.0, "dense"), (50, 12.0))]
    assert hypervolume(errors) == 0.5 * 8
    assert hypervolumes(errors) == {"dense": 0.0, "magnitude": 4.0}
    worse = replace(rmse(90, 25.0, step=1), baseline=20.0)
    assert hypervolume([*errors, worse]) == 0.5 * 8


def test_an_error_without_a_guess_has_no_area() -> None:
    with pytest.raises(UsageError, match=r"the validation RMSE is less of which.*reference="):
        hypervolume([rmse(50, 12.0)])
    with pytest.raises(UsageError, match="the MACs"):
        hypervolume([point(50, 80)], ("macs", "val_accuracy"))
