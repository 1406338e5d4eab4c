"""Code and data that are edited while a sweep runs: no point of two texts under one name."""

import shutil
import sys
from pathlib import Path

import cloudpickle  # type: ignore[import-untyped]
import pytest
import torch
from torch import Tensor, nn

from secateur.data import from_datasets
from secateur.data.data import Data
from secateur.study.plan import Run

from .faulty_study import TEXT, done_once, sweep
from .inline import Notes

# Workers have no module of this name: what it defines goes to them as it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

HELPED = TEXT.replace(
    "return super().forward(x)\n\n\ndef net",
    "import helper\n        return helper.scale(super().forward(x))\n\n\ndef net",
)
EDITS = {
    "faulty.py": ("super().forward(x)", "2 * super().forward(x)"),
    "helper.py": ("return x", "return 2 * x"),
}


@pytest.mark.parametrize("edited", EDITS)
def test_code_that_is_edited_while_a_sweep_runs_makes_no_points(study: Path, edited: str) -> None:
    """Of what `forward` imports, too: no point of two nets under one name."""
    (study / "faulty.py").write_text(HELPED)
    (study / "helper.py").write_text("def scale(x):\n    return x\n")
    path = study / edited
    before = path.read_text()

    class Editing(Notes):
        def ended(self, run: Run, reason: str) -> None:
            super().ended(run, reason)
            path.write_text(before.replace(*EDITS[edited]))

    ends = sweep(study / "run", Editing()).ends
    assert ends[0] == ("dense base seed 0", "")
    assert "not as it was when the sweep began" in ends[1][1]
    assert edited.removesuffix(".py") in ends[1][1]
    path.write_text(before)
    del sys.modules["helper"]  # as in another process
    assert sweep(study / "run").ends == [("magnitude 0.3 seed 0", "")]
    assert done_once(study / "run") == 2


class Items:
    """A data set whose items lie in files, each read when it is needed."""

    def __init__(self, folder: Path, split: str) -> None:
        self.paths = [folder / f"{split}-{number}.pt" for number in range(16)]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return torch.load(self.paths[number], weights_only=True), number % 2


def items(folder: Path) -> Data:
    for place, split in enumerate(("train", "val", "test")):
        for number in range(16):
            torch.save(torch.full((3, 8, 8), float(place)), folder / f"{split}-{number}.pt")
    train, val, test = (Items(folder, split) for split in ("train", "val", "test"))
    return from_datasets("items", train=train, val=val, test=test, classes=2)


class Editing(nn.Sequential):
    """Changes an item while it trains, if it is told to."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and Path("edit").exists():
            shutil.copy("val-0.pt", "train-0.pt")  # no tensor is made: nets are tried in float64
        return super().forward(x)


def editing_net(classes: int) -> nn.Module:
    return Editing(nn.Flatten(), nn.Linear(192, classes))


@pytest.mark.parametrize("when", ["before", "within"])
def test_data_that_are_edited_while_a_sweep_runs_make_no_points(study: Path, when: str) -> None:
    data, given = items(study), {"model": "own:net", "data": "given"}
    edited = study / "train-0.pt"

    class Changing(Notes):
        def ended(self, run: Run, reason: str) -> None:
            super().ended(run, reason)
            if when == "within":
                (study / "edit").touch()
            else:
                torch.save(torch.zeros(3, 8, 8) + 7, edited)

    options = {"model": editing_net, "data": data, "settings": given, "workers": 1}
    ends = sweep(study / "run", Changing(), **options).ends
    assert ends[0] == ("dense base seed 0", "")
    assert "not as they were when the sweep began" in ends[1][1]
    (study / "edit").unlink(missing_ok=True)
    torch.save(torch.full((3, 8, 8), 0.0), edited)
    assert sweep(study / "run", **options).ends == [("magnitude 0.3 seed 0", "")]
    assert done_once(study / "run") == 2


def test_data_that_cannot_be_read_any_more_fail_by_name(study: Path) -> None:
    data, given = items(study), {"model": "own:net", "data": "given"}

    class Removing(Notes):
        def ended(self, run: Run, reason: str) -> None:
            super().ended(run, reason)
            (study / "train-3.pt").unlink(missing_ok=True)

    options = {"model": editing_net, "data": data, "settings": given, "workers": 1}
    ends = sweep(study / "run", Removing(), **options).ends
    assert ends[0][1] == ""
    assert "item 3 of train is unreadable (FileNotFoundError" in ends[1][1]
