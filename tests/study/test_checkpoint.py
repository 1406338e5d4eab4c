import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from secateur.errors import StoreError
from secateur.pruning.masks import Masks
from secateur.study.checkpoint import load_checkpoint, save_checkpoint


def masks() -> Masks:
    kept = torch.tensor([[True, False, True], [False, False, True]])
    return Masks({"0.weight": kept}, floored=("0",))


def test_weights_and_masks_come_back_as_they_were(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    masks().apply(net)
    save_checkpoint(tmp_path / "a.safetensors", net.state_dict(), masks())
    state, found = load_checkpoint(tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.safetensors"]
    assert state.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert tensor.dtype == state[name].dtype
        assert torch.equal(tensor, state[name])
    assert found == masks()
    assert found is not None
    assert found.floored == ("0",)
    nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).load_state_dict(state)


def test_any_reader_of_safetensors_finds_the_state_dict_and_nothing_else(tmp_path: Path) -> None:
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "a.safetensors", net.state_dict())
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == {"weight", "bias"}
    assert torch.equal(found["weight"], net.weight)
    assert load_checkpoint(tmp_path / "a.safetensors")[1] is None


def test_a_tied_weight_is_written_under_each_of_its_names(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    save_checkpoint(tmp_path / "a.safetensors", net.state_dict())
    state, _ = load_checkpoint(tmp_path / "a.safetensors")
    assert torch.equal(state["0.weight"], state["1.weight"])
    net.load_state_dict(state)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    state = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)).state_dict()
    for name in "ab":
        save_checkpoint(tmp_path / name, state, masks())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safe_open(tmp_path / "a", framework="pt") as file:
        assert list(file.metadata()) == ["secateur.masks"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"w": torch.zeros(2)})
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"not writable .No space left.*Free the disk"):
        save_checkpoint(path, {"w": torch.ones(2)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_that_write_one_run_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that outlives its sweep for a moment: each has a temporary name of its own."""
    names = []
    replace = Path.replace

    def note(self: Path, target: Path) -> Path:
        names.append(self.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    for pid in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        save_checkpoint(tmp_path / "a.safetensors", {"w": torch.zeros(2)})
    assert names == ["a.1.partial", "a.2.partial"]


@pytest.mark.parametrize("content", [None, b"", b"\x08" + bytes(7) + b"{broken}", b"x" * 100])
def test_a_missing_or_damaged_file_is_one_message_with_its_remedy(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"a.safetensors is unreadable .* Run the sweep again"):
        load_checkpoint(path)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"w": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="unreadable"):
        load_checkpoint(path)
