import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from secateur.point import Epochs, Latency, Point, Score, Share, accuracy
from secateur.report.table import show, table, to_json
from secateur.study.aggregate import Replicate, replicates
from secateur.study.frontier import frontier

CONTROLS = ("dense", "scratch")


@pytest.fixture(autouse=True)
def _a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes a dumb one for 80 columns wide, whatever it is told."""
    monkeypatch.setenv("TERM", "xterm")


def point(method: str, level: tuple[float, ...], correct: int, step: int, seed: int) -> Point:
    zeros = round(1000 * (level[0] if level else 0))
    return Point(
        method=method,
        level=level,
        step=step,
        seed=seed,
        digest=f"{method}-{step}-{seed}",
        scores=(accuracy("val", correct, 2000), accuracy("test", 2 * correct - 20, 4000)),
        sparsity=Share(zeros, 1000),
        conv_sparsity=Share(zeros // 10, 100),
        model_sparsity=Share(zeros, 1010),
        parameters=1010,
        nonzero=1010 - zeros,
        masked_macs=14_000_000,
        nonzero_macs=7_654_321,
        compact_parameters=59_333,
        macs=999_600,
        epochs=Epochs(12, 2, 4 * (step + 1)),
        seconds=1.5,
        checkpoint=f"points/{method}-{step}-{seed}.safetensors",
        floored=("conv1",) if zeros >= 900 else (),
        latency=tuple(
            Latency(9, seconds, seconds, seconds, "torch-eager", 2, batch)
            for batch, seconds in ((1, 0.001), (64, 0.03))
        ),
    )


POINTS = [
    point("scratch", (0.9,), 1700, 0, 0),
    point("magnitude", (0.9,), 1790, 1, 0),
    point("magnitude", (0.9,), 1810, 1, 1),
    point("magnitude", (0.5,), 1840, 0, 0),
    point("combined", (0.5, 0.9), 1600, 0, 0),
    point("dense", (), 1820, 0, 0),
]
LEVELS = replicates(POINTS)
BEST = frontier(LEVELS, controls=CONTROLS)


def printed(width: int | None = None, levels: tuple[Replicate, ...] = LEVELS) -> list[str]:
    """Lines as a pipe gets them, or as a terminal of `width` columns shows them."""
    out = io.StringIO()
    terminal = width is not None
    console = Console(file=out, force_terminal=terminal, width=width or 80, color_system=None)
    show(console, levels, BEST, CONTROLS)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def rows(lines: list[str]) -> list[list[str]]:
    names = {level.method for level in LEVELS}
    return [line.split() for line in lines if set(line.split()[:2]) & names]


def test_golden() -> None:
    # 1790 and 1810 of 2000: s = 0.00707, band = 12.706 * 0.00707 / sqrt(2) = 0.0635.
    expected = """
  dense     -       0.0000 0.0000 0.910        (n=1) 0.905        (n=1) 1.01k/59.3k 7.65M/1M 1/30 torch-eager/torch-eager 12+2+4=18
  combined  0.5/0.9 0.5000 0.5000 0.800        (n=1) 0.795        (n=1) 510/59.3k   7.65M/1M 1/30 torch-eager/torch-eager 12+2+4=18
* magnitude 0.5     0.5000 0.5000 0.920        (n=1) 0.915        (n=1) 510/59.3k   7.65M/1M 1/30 torch-eager/torch-eager 12+2+4=18
* magnitude 0.9     0.9000 0.9000 0.900 ±0.064 (n=2) 0.895 ±0.064 (n=2) 110/59.3k   7.65M/1M 1/30 torch-eager/torch-eager 12+2+8=22
  scratch   0.9     0.9000 0.9000 0.850        (n=1) 0.845        (n=1) 110/59.3k   7.65M/1M 1/30 torch-eager/torch-eager 12+2+4=18
"""  # noqa: E501
    assert rows(printed()) == [line.split() for line in expected.strip().splitlines()]


def test_a_pipe_gets_all_columns_unfolded_and_uncoloured() -> None:
    out = io.StringIO()
    show(Console(file=out, width=40), LEVELS, BEST, CONTROLS)
    assert "\x1b" not in out.getvalue()
    assert "+retrain" in out.getvalue()
    assert "Too narrow" not in out.getvalue()


@pytest.mark.parametrize(
    ("width", "missing"),
    [(240, 0), (100, 4), (80, 6), (60, 7)],
)
def test_a_narrow_terminal_drops_columns_and_names_them(width: int, missing: int) -> None:
    lines = printed(width)
    assert max(map(len, lines)) <= width
    text = " ".join(lines)
    found = text.split("Too narrow for: ")[1].split(",") if "Too narrow for" in text else []
    assert len(found) == missing
    assert [row[-2:] for row in rows(lines)]
    assert "…" not in text


def test_the_narrowest_loses_no_digit() -> None:
    (line,) = (line for line in printed(48) if "magnitude" in line and "0.900" in line)
    assert line.split() == ["*", "magnitude", "0.9", "0.9000", "0.900", "±0.064"]
    assert "…" not in " ".join(printed(20))


def test_the_caption_explains_itself() -> None:
    text = " ".join(printed(200))
    assert "on the frontier, by validation accuracy" in text
    assert "one seed has none" in text


def test_an_error_says_its_unit_and_direction_and_is_no_markup() -> None:
    scores = tuple(
        Score("rmse", split, 52.756, False, label="[/]RMSE", unit="[red]")
        for split in ("val", "test")
    )
    text = " ".join(
        " ".join(printed(levels=replicates([replace(POINTS[-1], scores=scores)]))).split()
    )
    assert "by validation [/]RMSE (less is better)." in text
    assert "[/]RMSE" in text.split("dense")[0]
    assert "[red]" in text
    assert "52.76 (n=1)" in text


def test_a_study_that_was_not_timed_has_dashes() -> None:
    levels = replicates([replace(POINTS[-1], latency=())])
    assert rows(printed(levels=levels))[0][-3:-1] == ["-", "-"]


def test_the_fastest_engine_is_named() -> None:
    def timed(one: float, many: float, engine: str) -> tuple[Latency, ...]:
        at = ((1, one), (64, many))
        return tuple(Latency(9, t, t, t, engine, 2, batch) for batch, t in at)

    both = timed(0.002, 0.02, "torch-eager") + timed(0.001, 0.03, "secateur-sparse")
    levels = replicates([replace(POINTS[-1], latency=both)])
    assert rows(printed(levels=levels))[0][-3:-1] == ["1/20", "sparse/torch-eager"]
    other = replace(POINTS[-1], seed=1, latency=timed(0.002, 0.02, "torch-eager"))
    levels = replicates([replace(POINTS[-1], latency=both), other])
    assert " 2 engines/torch-eager " in " ".join(printed(levels=levels))


def test_an_empty_study_is_an_empty_table() -> None:
    assert table([], []).row_count == 0
    assert rows(printed(levels=())) == []


@pytest.mark.parametrize(
    ("nonzero", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (592_933, "593k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (20_040_000, "20M"),
        (7 * 10**15, "7e+03T"),
    ],
)
def test_counts_have_three_digits(nonzero: int, text: str) -> None:
    levels = replicates([replace(POINTS[-1], nonzero=nonzero)])
    assert f"{text}/59.3k" in rows(printed(levels=levels))[0]


def test_json_has_the_promised_fields_and_integers() -> None:
    first, *_ = to_json([POINTS[1]], BEST)
    assert first.pop("point").startswith("magnitude:")
    assert first == {
        "method": "magnitude",
        "level": 0.9,
        "seed": 0,
        "val_accuracy": 0.895,
        "test_accuracy": 0.89,
        "val": {"correct": 1790, "total": 2000},
        "test": {"correct": 3560, "total": 4000},
        "sparsity": {"zeros": 900, "total": 1000},
        "conv_sparsity": {"zeros": 90, "total": 100},
        "model_sparsity": {"zeros": 900, "total": 1010},
        "parameters": 1010,
        "nonzero": 110,
        "compact_parameters": 59_333,
        "masked_macs": 14_000_000,
        "nonzero_macs": 7_654_321,
        "macs": 999_600,
        "artifact_bytes": None,
        "epochs": {
            "base": 12,
            "sparsity": 2,
            "retrain": 8,
            "statistics": 0,
            "teacher": 0,
            "given": False,
            "cumulative": 22,
        },
        "latency": [
            {
                "n": 9,
                "median": seconds,
                "q1": seconds,
                "q3": seconds,
                "engine": "torch-eager",
                "threads": 2,
                "batch": batch,
            }
            for batch, seconds in ((1, 0.001), (64, 0.03))
        ],
        "seconds": 1.5,
        "digest": "magnitude-1-0",
        "on_frontier": True,
        "floored": ["conv1"],
        "checkpoint": "points/magnitude-1-0.safetensors",
    }


def test_json_survives_json_and_keeps_the_order() -> None:
    objects = to_json(POINTS, BEST)
    assert json.loads(json.dumps(objects)) == objects
    assert [one["digest"] for one in objects] == [p.digest for p in POINTS]
    assert [one["on_frontier"] for one in objects] == [False, True, True, True, False, False]


def test_json_level_is_a_number_two_or_null() -> None:
    levels = {one["method"]: one["level"] for one in to_json(POINTS, BEST)}
    assert levels["scratch"] == 0.9
    assert levels["combined"] == [0.5, 0.9]
    assert levels["dense"] is None


def test_what_has_collapsed_is_marked_and_explained() -> None:
    points = [replace(one, majority=1595) for one in POINTS]
    levels = replicates(points)
    lines = printed(levels=levels)
    marked = [line for line in lines if line.startswith("x ")]
    assert len(marked) == 1
    assert "combined" in marked[0]
    assert "x collapsed: no better than an answer that ignores its input" in " ".join(
        " ".join(lines).split()
    )
    assert "collapsed" not in " ".join(printed())
    found = to_json(points, frontier(levels, controls=CONTROLS))
    assert [one["collapsed"] for one in found] == [one.method == "combined" for one in points]
    assert {one["val_majority"] for one in found} == {1595}


def test_weights_that_were_given_are_named_in_the_budget() -> None:
    given = replace(POINTS[-1], epochs=Epochs(0, 0, 4, given=True))
    assert rows(printed(levels=replicates([given])))[0][-2:] == ["given,", "0+0+4=4"]


def test_passes_over_data_are_in_the_sum_where_there_were_some() -> None:
    spent = replace(POINTS[-1], epochs=Epochs(1, 2, 6, statistics=3, teacher=2))
    assert rows(printed(levels=replicates([spent])))[0][-1] == "1+2+6+3+2=14"


def test_json_says_what_a_guess_makes_of_an_error() -> None:
    scores = tuple(Score("rmse", split, 52.5, False) for split in ("val", "test"))
    (found,) = to_json([replace(POINTS[-1], scores=scores, baseline=50.0)], ())
    assert (found["val_rmse"], found["collapsed"], found["val_baseline"]) == (52.5, True, 50.0)
    assert not {"val", "test", "val_majority"} & set(found)


def test_quality_before_retraining_is_a_column_where_it_was_measured() -> None:
    before = (replace(accuracy("val", 500, 2000), split="before"),)
    levels = replicates([replace(POINTS[-1], before=before)])
    assert "0.250 (n=1)" in " ".join(" ".join(printed(levels=levels)).split())
    (found,) = to_json([replace(POINTS[-1], before=before)], ())
    assert found["before_accuracy"] == 0.25
    older = replicates([POINTS[-1]])
    assert "retraining" not in " ".join(printed(levels=older))
