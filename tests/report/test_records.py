from dataclasses import replace

from study_points import CONTROLS, study

from secateur.point import Measured, Score, Share
from secateur.report.records import metrics, records, schema
from secateur.study.aggregate import replicates
from secateur.study.frontier import frontier


def test_one_flat_record_a_point_in_order() -> None:
    points = study()
    found = records(points, CONTROLS)
    assert [record["digest"] for record in found] == [point.digest for point in points]
    assert all(
        value is None or isinstance(value, str | int | float)
        for record in found
        for value in record.values()
    )


def test_every_share_stands_beside_its_integers() -> None:
    (point,) = [p for p in study() if p.digest == "magnitude-1-2"]
    (record,) = [r for r in records(study()) if r["digest"] == "magnitude-1-2"]
    for name, share in {"val": point.val, "test": point.test}.items():
        assert record[f"{name}_correct"] == share.part
        assert record[f"{name}_total"] == share.total
        assert record[f"{name}_accuracy"] == share.part / share.total
    for name in ("sparsity", "conv_sparsity", "model_sparsity"):
        share = getattr(point, name)
        assert (record[f"{name}_zeros"], record[f"{name}_total"]) == (share.part, share.total)
        assert record[name] == share.part / share.total
    assert record["cumulative_epochs"] == 16
    assert record["latency_1_median"] == 1e-3
    assert record["latency_64_median"] is None
    assert record["environment_cpu"] == "a, b"


def test_the_frontier_and_the_controls_are_marked() -> None:
    points = study()
    best = {(one.method, one.step) for one in frontier(replicates(points), controls=CONTROLS)}
    assert best
    for record in records(points, CONTROLS):
        assert record["on_frontier"] == ((record["method"], record["step"]) in best)
        assert record["control"] == (record["method"] in CONTROLS)


def test_values_are_of_the_types_that_the_schema_says() -> None:
    kinds = schema(study())
    for record in records(study()):
        assert list(record) == list(kinds)
        for name, value in record.items():
            assert value is None or type(value) is kinds[name], name


def test_no_points_have_columns_all_the_same() -> None:
    assert records([]) == []
    assert {"method", "val_accuracy", "latency_64_median"} <= set(schema([]))


def test_counts_beyond_a_float_stay_exact() -> None:
    big = 2**53 + 1
    (record,) = records([replace(study(1)[0], macs=big, sparsity=Share(big, 2 * big))])
    assert record["macs"] == big
    assert record["sparsity_zeros"] == big


def test_metrics_are_measured_numbers_only() -> None:
    found = metrics(records(study(), CONTROLS)[0])
    assert {"val_accuracy", "test_accuracy", "macs", "latency_1_median"} <= set(found)
    assert not {"seed", "step", "control", "on_frontier", "method", "latency_64_n"} & set(found)


def test_a_score_that_is_no_share_stands_beside_its_guess() -> None:
    scores = tuple(Score("rmse", split, 9.5, False) for split in ("val", "test"))
    points = [replace(one, scores=scores, baseline=12.5) for one in study()]
    record = records(points)[0]
    assert (record["val_rmse"], record["test_rmse"], record["val_baseline"]) == (9.5, 9.5, 12.5)
    assert not {"val_majority", "val_correct", "val_accuracy"} & set(record)


def test_a_metric_of_one_s_own_takes_no_column_s_place() -> None:
    own = tuple(Measured(name, name, "", False, 7.0) for name in ("method", "seconds", "energy"))
    record = records([replace(one, metrics=own) for one in study()])[0]
    assert (record["method"], record["seconds"], record["energy"]) == ("dense", 1.0, 7.0)


def test_quality_before_retraining_has_its_integers() -> None:
    first, *others = study()
    before = (replace(first.val, split="before"),)
    found = records([replace(first, before=before), *others])
    names = ("before_accuracy", "before_accuracy_correct", "before_accuracy_total")
    assert [found[0][name] for name in names] == [
        first.val.value,
        first.val.part,
        first.val.total,
    ]
    assert [found[1][name] for name in names] == [None] * 3
