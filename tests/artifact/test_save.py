"""Saving: what a file says, what is refused, and how much room it takes."""

import os
from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import secateur
from secateur.artifact.container import Container
from secateur.artifact.inspect import inspect
from secateur.artifact.load import load_state_dict
from secateur.artifact.manifest import KEY, Manifest, Source
from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.errors import ArtifactError, MaskError, ModelError


def manifest(path: Path) -> Manifest:
    with Container.open(path) as held:
        return Manifest.from_text(path, held.metadata[KEY])


def entropy_bound(tensor: torch.Tensor) -> float:
    density = torch.tensor(float(tensor.count_nonzero()) / tensor.numel())
    entropy = -(density * density.log2() + (1 - density) * (1 - density).log2())
    return float(tensor.numel() * (entropy + 32 * density) / 8)


@pytest.mark.parametrize("sparsity", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("method", "share"), [("magnitude", 0.85), ("random-weight", 0.92)])
def test_the_whole_file_of_a_pruned_layer_meets_the_bound(
    tmp_path: Path, method: str, share: float, sparsity: float
) -> None:
    torch.manual_seed(0)
    net = nn.Linear(1024, 512, bias=False)
    nn.init.kaiming_normal_(net.weight)
    masks = secateur.prune(net, method, sparsity=sparsity)
    path = tmp_path / "x"
    save(net, path, masks, {"val_accuracy": 0.9})
    assert path.stat().st_size <= share * entropy_bound(net.weight.detach())


def test_dense_tensors_lie_as_they_are_and_aligned(tmp_path: Path) -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 5).half(), nn.Linear(5, 7))
    save(net, tmp_path / "x")
    with Container.open(tmp_path / "x") as held:
        assert not Manifest.from_text(tmp_path / "x", held.metadata[KEY]).coded
        for entry in held.entries.values():
            size = {"F32": 4, "F16": 2, "I64": 8}[entry.dtype]
            assert (8 + len(held.header) + entry.start) % size == 0


def test_the_same_net_makes_the_same_file(tmp_path: Path) -> None:
    net = nn.Linear(4, 4)
    save(net, tmp_path / "a")
    save(net, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_tells_what_was_cut_and_where_it_came_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    with torch.no_grad():
        net[0].weight[1] = net[0].weight[2] = 0.001
    example = torch.zeros(1, 1, 4, 4)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="conv", example_inputs=example)
    compaction = compact_with_record(net, masks, example)
    path = tmp_path / "x"
    save(
        compaction.model,
        path,
        masks,
        {"val": (1, 2)},
        dense=net,
        kept=compaction.kept,
        example_inputs=example,
        source=Source(name="mine:net"),
        run={"seed": 3},
    )
    told = manifest(path)
    assert told.dense == {"0.weight": [4, 1, 3, 3], "0.bias": [4], "3.weight": [2, 16]}
    assert told.kept == ["0,3", "0-3,12-15"]
    assert told.slots == {"0.weight": {"0": 0}, "0.bias": {"0": 0}, "3.weight": {"1": 1}}
    assert told.masks == {"0.weight": (18, 36), "0.bias": (2, 4)}
    assert told.input == [1, 4, 4]
    assert told.layers["0"].macs == 2 * 9 * 4
    assert told.source is not None
    assert told.source.name == "mine:net"
    assert told.metrics == {"val": [1, 2]}
    assert told.run == {"seed": 3}


def test_masks_that_the_weights_do_not_keep_are_refused(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    mask = torch.tensor([[True, False], [True, True]])
    with pytest.raises(MaskError, match="not zero where its mask"):
        save(net, tmp_path / "x", {"weight": mask})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, torch.ones(2)])
def test_metrics_that_json_cannot_hold_are_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ArtifactError, match="metrics"):
        save(nn.Linear(2, 2), tmp_path / "x", metrics={"a": value})


class Extra(nn.Linear):
    def get_extra_state(self) -> object:
        return {"anything": 1}

    def set_extra_state(self, state: object) -> None:
        pass


@pytest.mark.parametrize(
    ("net", "given"),
    [
        (Extra(2, 2), "extra state"),
        (nn.Linear(2, 2, device="meta"), "on the meta device"),
        (nn.LazyLinear(2), "not built yet"),
        (nn.Linear(2, 2, dtype=torch.complex128), "complex128"),
        (nn.ModuleDict({"a\n": nn.Linear(2, 2)}), "unprintable"),
    ],
)
def test_what_is_no_tensor_is_refused(tmp_path: Path, net: nn.Module, given: str) -> None:
    with pytest.raises((ArtifactError, ModelError), match=given):
        save(net, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_shared_tensor_takes_its_room_once(tmp_path: Path) -> None:
    net = nn.ModuleDict({"a": nn.Linear(64, 64), "b": nn.Linear(64, 64)})
    net["b"].weight = net["a"].weight
    save(net, tmp_path / "x")
    assert (tmp_path / "x").stat().st_size < 64 * 64 * 4 + 2000
    state = load_state_dict(tmp_path / "x")
    assert list(state) != []
    assert state["a.weight"] is state["b.weight"]
    assert state.keys() == net.state_dict().keys()


def test_the_network_is_not_touched(tmp_path: Path) -> None:
    net = nn.Linear(2, 2).train()
    net.weight.grad = torch.ones(2, 2)
    save(net, tmp_path / "x", example_inputs=torch.zeros(1, 2))
    assert net.training
    assert net.weight.requires_grad
    assert net.weight.grad is not None


class Two(nn.Module):
    """Two inputs, and a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 2), nn.Linear(3, 2)

    def forward(self, u: torch.Tensor, v: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": self.left(u) + self.right(v)}


@pytest.mark.parametrize(
    "inputs",
    [
        (torch.ones(2, 4), torch.ones(2, 3)),
        [torch.ones(2, 4), torch.ones(2, 3)],
        {"v": torch.ones(2, 3), "u": torch.ones(2, 4)},
        UserDict(u=torch.ones(2, 4), v=torch.ones(2, 3)),
    ],
)
def test_several_inputs_are_counted(tmp_path: Path, inputs: Any) -> None:
    save(Two(), tmp_path / "x", example_inputs=inputs)
    assert {layer.name: layer.macs for layer in inspect(tmp_path / "x").layers} == {
        "left": 8,
        "right": 6,
    }


@pytest.mark.parametrize(
    "wrap",
    [lambda net: torch.compile(net, backend="eager"), nn.DataParallel],
    ids=["compiled", "data-parallel"],
)
def test_a_wrapper_of_torchs_is_left_out_of_the_file(
    tmp_path: Path, wrap: Callable[[nn.Module], nn.Module]
) -> None:
    net = nn.Sequential(nn.Linear(4, 2))
    save(wrap(net), tmp_path / "x", example_inputs=torch.ones(1, 4))
    assert load_state_dict(tmp_path / "x").keys() == net.state_dict().keys()


@pytest.mark.parametrize(
    "place", ["", b"", 3, None, "a\0b", "missing/net.safetensors", ".", b"missing/x"]
)
def test_a_path_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"path|missing|not writable"):
        save(nn.Linear(1, 1), place)
    with pytest.raises(ArtifactError):
        inspect(place)
    assert not list(tmp_path.iterdir())


def test_a_path_may_be_bytes(tmp_path: Path) -> None:
    save(nn.Linear(1, 1), os.fsencode(tmp_path / "x"))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    "words", [{"source": 3}, {"run": {"name": "\ud800"}}, {"source": "\ud800"}]
)
def test_words_that_no_file_can_hold_are_refused(tmp_path: Path, words: Any) -> None:
    with pytest.raises(ArtifactError, match=r"saving a model: (the source|what is said)"):
        save(nn.Linear(1, 1), tmp_path / "x", **words)


def test_masks_of_a_wrapped_network_are_kept_by_the_names_in_the_file(tmp_path: Path) -> None:
    inner = nn.Sequential(nn.Linear(4, 2))
    masks = secateur.prune(inner, "magnitude", sparsity=0.5)
    net, path = nn.DataParallel(inner), tmp_path / "net.safetensors"
    named = {f"module.{name}": mask for name, mask in masks.items()}
    save(net, path, named)
    assert manifest(path).masks == {"0.weight": (4, 8)}

    with torch.no_grad():
        inner[0].weight.fill_(1.0)
    with pytest.raises(MaskError, match=r"0\.weight"):
        save(net, path, named)
