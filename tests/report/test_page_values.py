"""What the page shows, made from the store alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from secateur.point import Latency, Layer, Measured, Point, Score, accuracy
from secateur.report.page import values
from secateur.study.aggregate import replicates
from secateur.study.frontier import frontier
from secateur.study.metrics import axes_of
from secateur.study.pick import pick
from secateur.study.plan import Run
from secateur.study.point_names import chosen_point
from secateur.study.store import Store
from secateur.study.study import CONTROLS, RunFolder

Make = Callable[..., tuple[Run, Point]]
Put = Callable[[Store, Run, Point], None]


@pytest.fixture
def folder(tmp_path: Path, make_point: Make, put: Put) -> Path:
    """Two levels of magnitude over two seeds, the dense net twice, and a run that failed."""
    layer = Layer("conv.weight", "Conv2d", (4, 1, 3, 3), 18, 4, 3)
    dense, longer = make_point("dense", (), 90), make_point("dense", (), 91, step=1)
    made = [dense, longer]
    for step, level in enumerate((0.5, 0.9)):
        run, point = make_point("magnitude", (level,), 80 - step, step)
        for seed in (0, 1):
            digest = f"{seed}{point.digest}"
            moved = replace(
                point, seed=seed, digest=digest, layers=(layer,), artifact_bytes=100 + seed,
                scores=(accuracy("val", 80 - step + seed, 99), point.test),
                curve=({"epoch": 1, "loss": float("nan"), "val_accuracy": 0.123456},),
            )  # fmt: skip
            parents = {"base": dense[0].digest}
            made.append((replace(run, seed=seed, digest=digest, parents=parents), moved))
    lost = Run("lost", "point", "magnitude", (0.99,), 2, 1, 0, {}, 1, {})
    with Store.writing(tmp_path / "run") as store:
        settings = {"name": "s", "model": {"name": "m"}, "data": {"name": "d"},
                    "methods": {"magnitude": {"penalty": 1.0, "levels": []}}}  # fmt: skip
        store.begin(settings, [*(run for run, _ in made), lost])
        for run, point in made:
            put(store, run, point)
        store.record_end(store.record_start(lost), lost, "failed", "why")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("version", "words"), [("2024-03", "d, version 2024-03"), (None, "d"), (["no", "text"], "d")]
)
def test_data_that_are_named_by_a_version_say_so(folder: Path, version: object, words: str) -> None:
    facts = {"fingerprint": "f"} | ({} if version is None else {"version": version})
    with Store.writing(folder) as store:
        store.write_fact("data", json.dumps(facts))
    assert values(Store(folder))["study"]["data"] == words


def test_values_are_json_and_the_same_from_a_store_and_a_study(folder: Path) -> None:
    found = values(Store(folder))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert values(RunFolder(folder)) == found
    assert found["failures"] == [{"title": "magnitude 0.99 seed 0", "reason": "why"}]
    assert found["study"]["missing"] == 0
    assert found["study"]["finished"] is True
    assert found["study"]["settings"]["methods"] == {"magnitude": {"levels": []}}
    assert found["study"]["seeds"] == [0, 1]


def test_means_and_bands_are_secateurs_own(folder: Path) -> None:
    store = Store(folder)
    shown = values(store)
    levels = shown["levels"]
    for ours, theirs in zip(levels, replicates(store.points()), strict=True):
        assert ours["band"].keys() == (ours["mean"].keys() if theirs.n > 1 else set())
        for name in ours["mean"]:
            assert ours["mean"][name] == pytest.approx(float(theirs.mean(name)), rel=1e-6)
    by_step = {(level["method"], level["step"]): level for level in levels}
    assert "bytes" not in by_step["dense", 0]["mean"]
    assert "latency" not in by_step["magnitude", 0]["mean"]
    assert [axis["name"] for axis in values(store)["axes"]] == list(axes_of(store.points()))


def test_names_mean_one_point_each(folder: Path) -> None:
    store = Store(folder)
    found = values(store)["points"]
    for row, point in zip(found, store.points(), strict=True):
        assert chosen_point(store.points(), row["name"], "") == point
    names = {row["name"] for row in found}
    assert "magnitude:0.9:1" in names
    assert "dense:-:0" not in names  # it would mean two


def test_a_command_is_quoted_for_the_shell(tmp_path: Path, make_point: Make, put: Put) -> None:
    run, point = make_point("magnitude", (0.5,), 80)
    with Store.writing(tmp_path / "a b; $(c)") as store:
        store.begin({}, [run])
        put(store, run, point)
        command = values(store)["points"][0]["export"]
    folder = f"'{tmp_path}/a b; $(c)'"
    assert command == f"secateur export {folder} --point magnitude:0.5:0"


def test_trainings_tell_what_came_before_and_shared_nets_are_told_once(folder: Path) -> None:
    found = values(Store(folder))
    assert found["nets"][found["points"][2]["net"]][0]["shape"] == [4, 1, 3, 3]
    assert len(found["nets"]) == 2  # theirs, and the dense net's, which was not recorded
    training = found["trainings"][found["points"][2]["id"]]
    assert training["before"] == [found["points"][0]["id"]]
    assert training["loss"] == [None]
    assert training["val"] == [0.1235]


def test_latencies_are_an_axis_once_they_are_measured(folder: Path) -> None:
    with Store.writing(folder) as store:
        store.write_latencies(
            {
                point.digest: [Latency(5, 0.002, 0.001, 0.003, "torch-eager", 1, batch)
                               for batch in (1, 64)]
                for point in store.points()
            }
        )  # fmt: skip
        levels = values(store)["levels"]
    assert all(level["mean"]["latency_64"] == 0.002 for level in levels)


def test_an_empty_store_has_values(tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run") as store:
        found = values(store)
    assert found["points"] == found["levels"] == found["methods"] == []
    assert found["study"]["name"] == "run"


def test_no_torch_is_needed(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from secateur.report import page; from secateur.study.store import Store\n"
        f"page.write(Store(Path({str(folder)!r})))\n"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert (folder / "report.html").is_file()


def test_frontier_and_picks_come_as_values(folder: Path) -> None:
    store = Store(folder)
    shown, levels = values(store), replicates(store.points())
    for axis in ("sparsity", "nonzero", "macs"):
        choice = shown["choices"][axis]
        best = frontier(levels, (axis, "val_accuracy"), CONTROLS)
        assert [levels[place] for place in choice["frontier"]] == list(best)
        for thousandths in range(0, 1001, 25):
            floor = thousandths / 1000
            found = pick(store.points(), min_accuracy=floor, x=axis, controls=CONTROLS)
            asked = Fraction(thousandths, 1000)
            limit, place = next(
                one
                for one in choice["picks"]
                if one[0] is None or Fraction(*map(int, one[0])) >= asked
            )
            assert (levels[place], limit is not None) == (found.replicate, found.met)
    assert shown["choices"]["test_accuracy"]["picks"] == []


@pytest.fixture
def perplexities(tmp_path: Path, make_point: Make, put: Put) -> Store:
    """Levels of a language model, one of which has exploded, with a metric of one's own."""
    made = []
    errors = {"dense": [12_345.6], "magnitude": [12_400.0, 12_500.0, 13_000.0, 9_999_999.0]}
    for method, found in errors.items():
        for step, error in enumerate(found):
            run, point = make_point(method, (step / 10,) if method != "dense" else (), 0, step)
            scores = tuple(
                Score("perplexity", split, error, False, unit="bit") for split in ("val", "test")
            )
            own = (Measured("energy", "energy", "mJ", False, -1.5 - step),)
            made.append((run, replace(point, scores=scores, metrics=own)))
    with Store.writing(tmp_path / "lm") as store:
        store.begin({"name": "lm"}, [run for run, _ in made])
        for run, point in made:
            put(store, run, point)
    return Store(tmp_path / "lm")


def test_an_error_turns_the_picks(perplexities: Store) -> None:
    found = values(perplexities)
    assert found["quality"] == {"val": "val_perplexity", "test": "test_perplexity"}
    assert [one["far"] for one in found["levels"]][:4] == [[]] * 4
    assert found["levels"][4]["far"] == ["val_perplexity", "test_perplexity"]
    assert found["floor"] == "12593"  # no exponent: the page reads decimals
    picks = found["choices"]["sparsity"]["picks"]
    for limit, place in picks[:-1]:
        bound = Fraction(*map(int, limit))
        level = pick(perplexities.points(), at_most={"val_perplexity": bound}).replicate
        assert found["levels"][place]["step"] == level.step


def test_what_the_page_calls_accuracy(perplexities: Store) -> None:
    found = values(perplexities)
    del found["csv"]
    assert "accuracy" not in json.dumps(found)


def test_a_metric_of_one_s_own_is_an_axis_and_a_number_of_each_point(perplexities: Store) -> None:
    found = values(perplexities)
    (energy,) = (axis for axis in found["axes"] if axis["own"])
    assert energy == {
        "name": "energy", "label": "energy", "higher": False, "unit": "mJ",
        "score": False, "own": True, "zeros": False, "chooses": True,
    }  # fmt: skip
    assert [one["metrics"] for one in found["points"]][:2] == [{"energy": -1.5}, {"energy": -1.5}]


def test_quality_before_retraining_is_an_axis_that_can_stand_upright(folder: Path) -> None:
    with Store.writing(folder) as store:
        for run, point in [(Run(p.digest, "point", p.method, p.level, p.step, 1, p.seed, {}, 1, {}),
                            replace(p, before=(replace(p.val, split="before"),)))
                           for p in store.points() if p.method == "magnitude"]:  # fmt: skip
            result = {"point": point.to_dict()}
            store.record_end(store.record_start(run), run, "done", result=result)
    found = values(Store(folder))
    (row,) = [one for one in found["axes"] if one["name"] == "before_accuracy"]
    assert (row["label"], row["score"], row["chooses"]) == (
        "validation accuracy before retraining",
        True,
        True,
    )
    shown = {one["method"]: one["scores"].get("before_accuracy") for one in found["points"]}
    assert shown["dense"] is None
    assert shown["magnitude"] is not None
    assert found["choices"]["before_accuracy"]["frontier"]


def test_methods_of_one_kind_are_ranked(tmp_path: Path, make_point: Make, put: Put) -> None:
    made = [make_point(name, (0.5,), correct) for name, correct in (("lamp", 70), ("wanda", 80))]
    with Store.writing(tmp_path / "run") as store:
        store.begin({"name": "ranked"}, [run for run, _ in made])
        for run, point in made:
            put(store, run, point)
    (found,) = values(Store(tmp_path / "run"))["rankings"]
    assert [one["method"] for one in found["ranks"]] == ["wanda", "lamp"]
    assert "1 is the best" in found["caption"]
