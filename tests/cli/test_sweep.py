"""`secateur sweep` as its users run it: the real command, in a process group of its own."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import nn

from secateur import models
from secateur.cli.sweep import notes
from secateur.cli.sweep import overridden as override
from secateur.data.loading import load
from secateur.errors import SpecError, UnknownNameError
from secateur.point import Point
from secateur.spec import StudySpec
from secateur.study.store import Store
from secateur.training.evaluate import evaluate
from secateur.training.fit import stream
from secateur.verbs.left_out import CutWarning

SWEEP = ("sweep", "tiny.toml", "--out", "run", "--workers", "2")
RUNS = 18


def results(run: Path) -> dict[str, Point]:
    """Every point without its times, which alone may differ from sweep to sweep."""
    return {
        point.digest: replace(point, seconds=0, training_seconds=0, latency=())
        for point in Store(run).points()
    }


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "points").iterdir()}


def group_is_gone(group: int) -> bool:
    """Whether no process of a group lives any more; zombies of a lazy init do not count."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        states = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                states.append(fields[0])
        if all(state == "Z" for state in states):
            return True
        time.sleep(0.05)
    return False


def wait_for(process: subprocess.Popen[str], ended: int) -> str:
    """Read what a sweep tells until it has begun and so many runs have ended; what it told."""
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if line.startswith("["):
            ended -= 1
        if ended <= 0:
            break
    return told


Command = Callable[..., tuple[int, str, str]]


# --- from end to end ---------------------------------------------------------------------------


def recount(run: Path, point: dict[str, Any]) -> dict[str, Any]:
    """The counts of a point from its file alone, knowing the tiny net."""
    state = load_file(run / point["checkpoint"])
    weights = {"0.weight", "4.weight", "8.weight", "10.weight"}
    buffers = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert weights | buffers < state.keys()
    assert len(state) == 13

    def count(names: set[str]) -> dict[str, int]:
        zeros = sum(int((state[name] == 0).sum()) for name in names)
        return {"zeros": zeros, "total": sum(state[name].numel() for name in names)}

    model = count(set(state) - buffers)
    return {
        "sparsity": count(weights),
        "conv_sparsity": count({"0.weight", "4.weight"}),
        "model_sparsity": model,
        "parameters": model["total"],
        "nonzero": model["total"] - model["zeros"],
    }


ASKED_FOR = {
    *("method", "level", "seed", "val_accuracy", "test_accuracy", "sparsity", "conv_sparsity"),
    *("model_sparsity", "parameters", "nonzero", "macs", "epochs", "seconds", "digest"),
    *("on_frontier", "checkpoint"),
}


@pytest.fixture(scope="module")
def listed(undisturbed: Any) -> list[dict[str, Any]]:
    done = undisturbed.run("frontier", "run", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_every_method_and_level_is_measured(listed: list[dict[str, Any]]) -> None:
    found = [(point["method"], point["level"]) for point in listed if point["method"] != "dense"]
    cutting = ["magnitude", "l1-filter", "slimming", "combined", "random-weight", "random-filter"]
    wanted = [(method, level) for method in [*cutting, "scratch"] for level in (0.4, 0.7)]
    assert found == wanted
    # Base, and two more epochs: as many as magnitude's second level has had.
    dense = [point["epochs"]["cumulative"] for point in listed if point["method"] == "dense"]
    assert dense == [1, 2, 3]


def test_the_counts_are_those_of_the_stored_weights(
    undisturbed: Any, listed: list[dict[str, Any]]
) -> None:
    for point in listed:
        counts = recount(undisturbed.folder / "run", point)
        assert {name: point[name] for name in counts} == counts
    pruned = {point["method"] for point in listed if point["sparsity"]["zeros"]}
    assert pruned == {point["method"] for point in listed} - {"dense"}


def test_the_scores_are_those_of_the_stored_weights(
    undisturbed: Any, listed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(undisturbed.folder)
    data = load("shapes", train=300, val=60, test=60, size=12)
    for point in listed:
        net = models.build("tiny:net", data.shape, data.classes)
        assert isinstance(net, nn.Module)
        net.load_state_dict(load_file(f"run/{point['checkpoint']}"))
        assert evaluate(net, data, data.val).part == point["val"]["correct"]
        assert evaluate(net, data, data.test).part == point["test"]["correct"]


def test_the_json_has_the_keys_that_were_promised(listed: list[dict[str, Any]]) -> None:
    for point in listed:
        assert point.keys() >= ASKED_FOR
        assert point["sparsity"].keys() == {"zeros", "total"}
        assert point["val_accuracy"] == point["val"]["correct"] / point["val"]["total"]
        assert point["level"] == (None if point["method"] == "dense" else point["level"])
        assert point["seconds"] > 0
    # So short a study may have learned nothing: then no point has a place.
    assert any(point["on_frontier"] or point["collapsed"] for point in listed)
    assert not any(point["on_frontier"] and point["collapsed"] for point in listed)
    assert len({point["digest"] for point in listed}) == len(listed)


def test_the_sweep_ends_with_its_table_and_figures(undisturbed: Any) -> None:
    out = (undisturbed.folder / "stdout").read_text()
    assert "random-filter" in out
    assert "Hypervolume" in out
    assert "secateur frontier run" in out
    drawn = {path.name for path in (undisturbed.folder / "run" / "figures").iterdir()}
    assert {path.rpartition(".")[2] for path in drawn} == {"png", "svg"}
    assert len(drawn) == 4
    err = (undisturbed.folder / "stderr").read_text()
    assert err.startswith(f"{RUNS} runs, 20 epochs to train.\n")
    assert f"[{RUNS}/{RUNS}]" in err


def test_a_study_that_is_done_is_not_done_again(
    undisturbed: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(undisturbed.folder)
    run = undisturbed.folder / "run"
    before, attempts = files(run), Store(run).attempts()
    code, _, err = command(*SWEEP)
    assert code == 0
    assert f"{RUNS} of {RUNS} runs were finished before" in err
    assert Store(run).attempts() == attempts
    assert files(run) == before


def test_another_model_does_not_slip_into_the_folder_of_the_study(
    undisturbed: Any, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed.folder / "run", tmp_path / "runs" / "tiny")
    monkeypatch.chdir(undisturbed.folder)
    study = str(Path("tiny.toml").absolute())
    monkeypatch.chdir(tmp_path)
    code, _, err = command("sweep", study, "--model", "lenet-5")
    assert code == 2
    assert "'lenet-5'" in err
    assert "--out" in err


# --- killed, interrupted, failing --------------------------------------------------------------


def stop(bench: Any, ended: int, how: signal.Signals, pause: float = 0) -> tuple[int, str]:
    """Sweep until so many more runs have ended, then signal the group; its exit, what it told."""
    with bench.start(*SOME) as process:
        told = wait_for(process, ended)
        time.sleep(pause)
        os.killpg(process.pid, how)
        told += process.communicate(timeout=120)[1]
    assert group_is_gone(process.pid)
    return process.returncode, told


SOME = (*SWEEP, "--methods", "magnitude,slimming,combined", "--no-timing")


def test_a_study_that_is_stopped_anyhow_goes_on_to_the_same_bits(
    undisturbed: Any,
    make_bench: Callable[..., Any],
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = make_bench()
    run = bench.folder / "run"
    chance = random.Random(20)
    # Ctrl-C while the workers' server still imports torch, which must not be seen.
    code, told = stop(bench, 0, signal.SIGINT)
    assert code == 130, told
    assert told.splitlines()[-1] == "Stopped. The same command goes on where it was: run"
    assert "Traceback" not in told
    killed = [
        stop(bench, chance.randint(0, 2), signal.SIGKILL, chance.uniform(0, 0.3))[0]
        for _ in range(3)
    ]
    # Where this process is starved, the sweep may have ended before a later kill.
    assert killed[0] == -signal.SIGKILL
    assert set(killed) <= {-signal.SIGKILL, 0}
    kept = Store(run).fact("threads")
    assert kept == Store(undisturbed.folder / "run").fact("threads")
    monkeypatch.chdir(bench.folder)
    # Neither do the numbers depend on the workers, nor on the process that asks for them.
    code, _, err = command(*SOME, "--workers", "1")
    assert code == 0, err
    assert "runs were finished before" in err
    assert Store(run).fact("threads") == kept

    found, whole = results(run), results(undisturbed.folder / "run")
    assert len(found) == 7
    assert found == {digest: whole[digest] for digest in found}
    weights, all_weights = files(run), files(undisturbed.folder / "run")
    assert len(weights) == 8
    assert weights == {name: all_weights[name] for name in weights}
    finished = [digest for digest, outcome in Store(run).attempts() if outcome == "done"]
    assert len(finished) == len(set(finished)) == 8


FAILING = """
import json
import os
import signal
from pathlib import Path

import torch
from torch import nn


class Net(nn.Sequential):
    def forward(self, x):
        x = super().forward(x)
        if self.training and Path("acts.json").exists():
            # Which run this is shows in the seed that its training set.
            act = json.loads(Path("acts.json").read_text()).get(str(torch.initial_seed()))
            if act == "raise":
                raise ValueError("a bug of the user's own")
            if act == "exit":
                os._exit(7)
            if act == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if act == "nan":
                return x * float("nan")
        return x


def net(shape, classes):
    return Net(nn.Conv2d(shape[0], 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, classes))
"""
FAILING_STUDY = """
name = "failing"
model = "failing:net"
levels = [0.3, 0.4]
seeds = 5
data = { name = "shapes", options = { train = 40, val = 10, test = 10, size = 12 } }
training = { base_epochs = 1, retrain_epochs = 1 }
[methods.magnitude]
[methods.dense]
"""


def seed_of(seed: int, depth: int) -> str:
    return str(stream(stream(seed, "train", depth), "dropout"))


@pytest.fixture
def failing(
    make_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, str]], Path]:
    """Makes a study whose net acts up in the runs named; returns its folder, the current one."""

    def make(acts: dict[str, str], study: str = FAILING_STUDY) -> Path:
        folder: Path = make_bench(FAILING, study, "failing").folder
        (folder / "acts.json").write_text(json.dumps(acts))
        monkeypatch.chdir(folder)
        return folder

    return make


def test_runs_that_fail_are_told_with_their_reasons_and_tried_again(
    failing: Callable[..., Path], command: Command
) -> None:
    folder = failing(
        {
            seed_of(1, 0): "raise",
            seed_of(2, 2): "exit",
            seed_of(3, 0): "kill",
            seed_of(4, 1): "nan",
        }
    )
    code, out, err = command("sweep", "tiny.toml", "--out", "run", "--no-timing")
    assert code == 1
    assert "Traceback" not in out + err
    store = Store(folder / "run")
    failures = dict(store.failures())
    reasons = {
        "dense base seed 1": "ValueError: a bug of the user's own",
        "magnitude 0.3 seed 1": "not run: dense base seed 1 failed, which it starts from",
        "magnitude 0.4 seed 1": "not run: dense base seed 1 failed, which it starts from",
        "magnitude 0.4 seed 2": "ended with code 7",
        "dense base seed 3": "SIGKILL",
        "magnitude 0.3 seed 3": "not run: dense base seed 3",
        "magnitude 0.3 seed 4": "the loss is not finite by step",
        "magnitude 0.4 seed 4": "not run: magnitude 0.3 seed 4",
    }
    for title, reason in reasons.items():
        assert reason in failures[title]
        assert f"Failed: {title}: {failures[title]}" in err
    whole = [point.method for point in store.points() if point.seed == 0]
    assert whole == ["dense", "magnitude", "magnitude", "dense", "dense"]
    assert {point.seed for point in store.points()} == {0, 2, 4}
    assert store.missing() == 0
    first = store.finished()

    (folder / "acts.json").unlink()
    code, _, err = command("sweep", "tiny.toml", "--out", "run", "--no-timing")
    assert code == 0, err
    assert store.failures() == ()
    assert len(store.points()) == 5 * 5
    outcomes = [digest for digest, outcome in store.attempts() if outcome == "done"]
    assert len(outcomes) == len(set(outcomes)) == 25
    assert first < store.finished()


def test_a_study_whose_every_run_fails_exits_with_1(
    failing: Callable[..., Path], command: Command
) -> None:
    failing({seed_of(0, 0): "raise"}, FAILING_STUDY.replace("seeds = 5", "seeds = 1"))
    code, out, err = command("sweep", "tiny.toml", "--out", "run", "--no-timing")
    assert code == 1
    assert "Failed: dense base seed 0: ValueError: a bug of the user's own" in err
    assert "Traceback" not in err
    assert out == ""


# --- bad input, and what the options mean ------------------------------------------------------


def refused(command: Command, *arguments: str) -> str:
    """The one line with which the command refuses these arguments."""
    code, out, err = command(*arguments)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    return err


@pytest.fixture
def bench(make_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    made = make_bench()
    monkeypatch.chdir(made.folder)
    return made


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "magnitud"], ["method is 'magnitud'", "Did you mean 'magnitude'?"]),
        (["--model", "lenet-6"], ["model is 'lenet-6'", "Did you mean 'lenet-5'?"]),
        (["--data", "fashion-mni"], ["data set is 'fashion-mni'", "Did you mean 'fashion-mini'?"]),
        (["--levels", "1"], ["is '1', expected a number from 0 up to, but not including, 1"]),
        (
            ["--levels", "0.5,1.5"],
            ["is '1.5', expected a number from 0 up to, but not including, 1"],
        ),
        (["--levels", "-0.1"], ["is '-0.1', expected a number from 0 up to, but not including, 1"]),
        (["--levels", "nan"], ["is 'nan', expected a number from 0 up to, but not including, 1"]),
        (["--levels", "half"], ["is 'half', expected a number from 0 up to, but not including, 1"]),
        (["--levels", "0.5,"], ["is '', expected a number from 0 up to, but not including, 1"]),
        (["--levels", ""], ["is '', expected a number from 0 up to, but not including, 1"]),
        (["--levels", "0.3/0.9"], ["a level of magnitude is 0.3/0.9", "one sparsity"]),
        (["--exclude", "linear"], ["exclude is 'linear', which matches", "mean 'Linear'"]),
        (["--exclude", "a b"], ["exclude is", "a glob over such names"]),
        (["--only", "0,Conv2"], ["only is 'Conv2', which matches nothing", "'Conv2d'"]),
        (["--only", "Linear"], ["the choice is one that leaves nothing of what the method"]),
        (["--prunable", "12"], ["prunable is '12', which matches nothing"]),
        (["--max-sparsity", "2"], ["max_sparsity is '2', expected a number from 0 to 1"]),
        (["--max-sparsity", "0.weigth=0.5"], ["max_sparsity is", "'0.weight'"]),
        (["--levels", "0.5,8.weigth=0.5"], ["sparsity is '8.weigth'", "'8.weight'"]),
        (["--seeds", "0"], ["seeds"]),
        (["--seeds", "-1"], ["seeds"]),
        (["--seeds", "two"], ["seeds"]),
        (["--seeds", "1,1"], ["seeds"]),
        (["--base-epochs", "-1"], ["training.base_epochs is -1"]),
        (["--methods", ","], ["methods"]),
        (["--device", "cuda:97"], ["the device 'cuda:97' is absent"]),
        (["--device", "toaster"], ["the device 'toaster' is no device that torch knows"]),
        (["--model", "nowhere:net"], ["module 'nowhere' is not importable"]),
        (["--model", "tiny:nett"], ["'nett' in 'tiny' is missing"]),
        (["--data", "npz"], ["the option 'path' is missing"]),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(
    bench: Any,
    command: Command,
    arguments: list[str],
    words: list[str],
) -> None:
    err = refused(command, "sweep", "tiny.toml", "--out", "run", *arguments)
    assert err.startswith("secateur: ")
    assert err.count("\n") == 1
    for each in words:
        assert each in err
    assert not (bench.folder / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "x"\nlevels = [0.5,,]\n', ["tiny.toml is damaged TOML", "line 2, column 15"]),
        ("[methods.magnitude]\nlevel = [0.5]\n", ["'level'", "Did you mean 'levels'?"]),
        ("[methods.magnitude]\n[trainin]\n", ["'trainin'", "Did you mean 'training'?"]),
        ("[methods.magntude]\n", ["'magntude'", "Did you mean 'magnitude'?"]),
        ("[methods.magnitude]\nlevels = [1.0]\n", ["methods.magnitude.levels.0 is 1.0"]),
        ("[methods.magnitude]\n[training]\nbase_epochs = 'x'\n", ["training.base_epochs is 'x'"]),
        ("", ["methods"]),
    ],
)
def test_a_wrong_study_file_is_one_line_and_exit_2(
    bench: Any,
    command: Command,
    text: str,
    words: list[str],
) -> None:
    (bench.folder / "tiny.toml").write_text(text)
    err = refused(command, "sweep", "tiny.toml", "--out", "run")
    assert err.count("\n") == 1
    for each in words:
        assert each in err
    assert not (bench.folder / "run").exists()


@pytest.mark.parametrize(
    ("body", "methods", "words"),
    [
        ("nn.Flatten()", "magnitude", ["one score for each class"]),
        (
            "nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(classes))",
            "magnitude",
            ["without one"],
        ),
        ("nn.Sequential(nn.Flatten(), nn.Linear(432, classes))", "l1-filter", ["'conv'"]),
        ("nn.Sequential(nn.Flatten(), nn.Linear(9, classes))", "magnitude", ["432"]),
        ("nn.Flatten(), 1", "magnitude", ["a tuple"]),
        ("1 / 0", "magnitude", ["ZeroDivisionError"]),
    ],
)
def test_a_net_that_cannot_be_pruned_is_refused_before_training(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    body: str,
    methods: str,
    words: list[str],
) -> None:
    name = f"user_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(
        f"from torch import nn\ndef net(shape, classes):\n    return {body}\n"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(
        'data = { name = "shapes", options = { train = 20, val = 5, test = 5, size = 12 } }\n'
        f'model = "{name}:net"\n[methods.{methods}]\n'
    )
    err = refused(command, "sweep", "s.toml", "--out", "run")
    assert err.count("\n") == 1
    for each in words:
        assert each in err
    assert not (tmp_path / "run").exists()


def test_an_output_folder_that_cannot_be_written_is_refused_before_training(
    bench: Any, command: Command
) -> None:
    (bench.folder / "run").write_text("a file in the way")
    err = refused(command, "sweep", "tiny.toml", "--out", "run")
    assert "the run folder: run is not writable" in err
    assert "nothing was trained yet" in err


def test_a_folder_that_another_sweep_holds_is_refused(bench: Any, command: Command) -> None:
    with Store.writing(bench.folder / "run"):
        err = refused(command, "sweep", "tiny.toml", "--out", "run")
    assert "in use by another sweep" in err
    with Store.writing(bench.folder / "run", shared=True):
        err = refused(command, "sweep", "tiny.toml", "--out", "run")
    assert "in use by another sweep, which shares it" in err
    assert "--shared" in err


SPEC = StudySpec.model_validate(
    {
        "name": "own",
        "levels": [0.5],
        "model": {"name": "conv4", "options": {"width": 2}},
        "training": {"batch_size": 7},
        "methods": {"slimming": {"penalty": 0.5, "levels": [0.1, 0.2]}, "dense": {}},
    }
)


def overridden(**options: Any) -> StudySpec:
    return override(SPEC, "own.toml", options)


def test_without_options_the_study_is_what_the_file_says() -> None:
    assert overridden(model=None, levels=None) == SPEC


def test_levels_hold_for_every_method_even_for_one_with_its_own() -> None:
    spec = overridden(levels="0.9, 0.3")
    assert spec.levels == ((0.3,), (0.9,))
    assert spec.levels_of("slimming") == ((0.3,), (0.9,))
    assert spec.methods["slimming"].model_dump()["penalty"] == 0.5
    assert overridden(levels="0.3/0.9").levels == ((0.3, 0.9),)


def test_layers_are_chosen_for_every_method() -> None:
    spec = overridden(exclude="fc, features.*", only="", max_sparsity="conv1=0.5;*=0.9")
    assert (spec.exclude, spec.only) == (("fc", "features.*"), ())
    assert spec.max_sparsity == (("conv1", 0.5), ("*", 0.9))
    assert overridden(max_sparsity="0.95").max_sparsity == (("*", 0.95),)
    assert overridden(protected=0.25).protected == 0.25
    table = overridden(levels="0.5,conv1=0.5;fc=0.9").levels
    assert table == ((0.5,), ((("conv1", 0.5), ("fc", 0.9)),))
    own = {"methods": {"magnitude": {"exclude": ["fc"], "max_sparsity": 0.5}}}
    replaced = override(StudySpec.model_validate(own), "own.toml", {"exclude": "conv1"})
    assert replaced.methods["magnitude"].exclude is None
    assert replaced.methods["magnitude"].max_sparsity == (("*", 0.5),)


def test_a_note_is_a_line_and_no_warning_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    with notes():
        warnings.warn("little", CutWarning, stacklevel=1)
    assert capsys.readouterr().err == "Note: little\n"


def test_a_family_of_methods_is_named_at_once() -> None:
    spec = overridden(methods="dense,all-initialisation,synflow")
    assert list(spec.methods) == ["dense", "snip", "grasp", "synflow"]
    with pytest.raises(UnknownNameError, match="'all-weight'"):
        overridden(methods="all-weight")


def test_methods_keep_the_options_that_the_file_gives_them() -> None:
    spec = overridden(methods="slimming, magnitude")
    assert list(spec.methods) == ["slimming", "magnitude"]
    assert spec.methods["slimming"].model_dump()["penalty"] == 0.5
    with pytest.raises(UnknownNameError, match="'dense'"):
        overridden(methods="dens")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (0, 1, 2)),
        ("1", (0,)),
        ("0,5", (0, 5)),
        ("7,", None),
        (" 4 , 2 ", (4, 2)),
        ("x", None),
    ],
)
def test_seeds_are_a_number_or_a_list(text: str, seeds: tuple[int, ...] | None) -> None:
    if seeds is None:
        with pytest.raises(SpecError, match="seeds"):
            overridden(seeds=text)
    else:
        assert overridden(seeds=text).seeds == seeds


def test_epochs_leave_the_rest_of_the_training_alone() -> None:
    training = overridden(base_epochs=4, retrain_epochs=0).training
    assert (training.base_epochs, training.retrain_epochs, training.batch_size) == (4, 0, 7)
    training = overridden(devices=2).training
    assert (training.devices, training.batch_size) == (2, 7)
    with pytest.raises(SpecError, match="devices is 8, expected at most the 7 examples of a batch"):
        overridden(devices=8)


def test_another_model_comes_without_the_options_of_the_one_it_replaces() -> None:
    spec = overridden(model="lenet-5", data="mnist")
    assert (spec.model.name, spec.model.options, spec.data.name) == ("lenet-5", {}, "mnist")
