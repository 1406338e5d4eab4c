"""From a pick to the network that is shipped: files of each kind, and the network itself."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.data import from_tensors
from secateur.errors import ArtifactError, ModelError, StoreError, UsageError
from secateur.study.export import point_net
from secateur.study.store import Store
from secateur.study.study import RunFolder
from secateur.verbs.sweep import Study

from . import inline
from .inline import net

pytestmark = pytest.mark.usefixtures("_inline")


@pytest.fixture(scope="module")
def folder(swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data, the module and the folder of the sweep are not there: they are not needed."""
    folder = Path(shutil.copytree(swept, tmp_path_factory.mktemp("elsewhere") / "run"))
    forget_guess(folder)
    return folder


def forget_guess(folder: Path) -> None:
    """So small a net, trained so little, does no better than one: that is not the point here."""
    with Store.writing(folder) as store:
        settings = {**store.settings, "model": {"name": "mine:build", "options": {}}}
        store.write_fact("settings", json.dumps(settings))
        facts = {**store.value("data")}
        del facts["val_majority"]
        store.write_fact("data", json.dumps(facts))


def test_a_pick_is_exported_and_loaded_by_the_very_function(folder: Path, tmp_path: Path) -> None:
    pick = RunFolder(folder).pick(min_accuracy=0.0)
    path = pick.export(tmp_path / "new" / "small.safetensors", net)
    inputs = torch.rand(3, 3, 8, 8)
    small = pick.load(net)
    assert not small.training
    assert torch.equal(secateur.load(path, net)(inputs), small(inputs))
    assert secateur.inspect(path).origin["run"]["digest"] == pick.point.digest


def test_the_kind_follows_the_suffix(folder: Path, tmp_path: Path) -> None:
    pick = RunFolder(folder, net).pick(within=1.0)
    path = pick.export(tmp_path / "small.pt2")
    inputs = torch.rand(3, 3, 8, 8)
    expected = pick.load()(inputs)
    given = torch.export.load(path).module()(inputs)
    assert torch.allclose(given, expected, atol=1e-5)
    with pytest.raises(ArtifactError, match=r"a name for pt2, expected one that ends in \.onnx"):
        pick.export(path, to="onnx")
    assert pick.export(to="safetensors").parent == folder / "exports"


def test_what_does_not_build_a_network_is_told(folder: Path) -> None:
    pick = RunFolder(folder).pick(min_accuracy=0.0)
    with pytest.raises(UsageError, match=r"by the word of .*the function"):
        pick.load()
    with pytest.raises(ModelError, match="a Sequential that is built already"):
        pick.load(net((3, 8, 8), 10))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="of another net"):
        pick.load(lambda: nn.Linear(2, 2))


def test_where_no_level_reaches_the_floor_none_is_shipped(folder: Path, tmp_path: Path) -> None:
    pick = Study(folder, net).pick(min_accuracy=1.0)
    if not pick.met:
        with pytest.raises(UsageError, match="the pick is none: No level reaches"):
            pick.export(tmp_path / "small.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_network_of_the_best_seed_is_shipped(tmp_path: Path, make_point: Any, put: Any) -> None:
    with Store.writing(tmp_path / "run") as store:
        runs = []
        for seed, correct in enumerate((80, 90, 85)):
            run, point = make_point("magnitude", (0.5,), correct)
            digest = f"{seed}" * 20
            runs.append(replace(run, seed=seed, digest=digest))
            store.begin({}, runs)
            put(store, runs[-1], replace(point, seed=seed, digest=digest))
    pick = RunFolder(tmp_path / "run").pick(min_accuracy=0.8)
    assert pick.point.seed == 1


class Ids(nn.Module):
    """Two inputs by name, of which one is whole numbers: nothing that can be drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 6)
        self.hidden = nn.Linear(6, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, ids: Tensor, scale: Tensor) -> Tensor:
        out: Tensor = self.out(torch.relu(self.hidden(self.words(ids).mean(1) * scale)))
        return out


def test_inputs_that_cannot_be_drawn_need_no_data_either(tmp_path: Path) -> None:
    def split(rows: int) -> tuple[dict[str, Tensor], Tensor]:
        ids = torch.randint(0, 7, (rows, 5))
        return {"ids": ids, "scale": torch.rand(rows, 1)}, ids[:, 0] % 3

    data = from_tensors("ids", train=split(20), val=split(6), test=split(6), classes=3)
    spec = inline.StudySpec.model_validate(
        {**inline.SETTINGS, "methods": {"l1-filter": {"scope": "all"}, "dense": {}}}
        | {"levels": [0.5], "data": "given"}
    )
    inline.run_study(
        spec, tmp_path / "run", model=Ids, data=data, threads=1, workers=1, timing=False
    )
    forget_guess(tmp_path / "run")
    store = Store(tmp_path / "run")
    pick = Study(store.folder, Ids).pick(min_accuracy=0.0)
    path = pick.export(tmp_path / "small.safetensors")
    ids, scale = torch.randint(0, 7, (4, 5)), torch.rand(4, 1)
    assert torch.equal(secateur.load(path, Ids)(ids, scale), pick.load()(ids, scale))

    # A store of an earlier secateur holds no example: it says so, and the sweep writes it again.
    with Store.writing(store.folder) as old:
        old.write_fact("example", "null")
    with pytest.raises(StoreError, match=r"without an example of its data.*secateur sweep"):
        point_net(store, pick.point, Ids)
    inline.run_study(spec, store.folder, model=Ids, data=data, threads=1, workers=1, timing=False)
    assert point_net(store, pick.point, Ids).small(ids, scale).shape == (4, 3)
