"""Atomic files: the old one or the new one, whole."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from secateur.artifact.atomic import replacing
from secateur.artifact.load import load_state_dict
from secateur.artifact.save import save
from secateur.errors import ArtifactError


def test_the_file_is_there_only_after_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_missing_folder_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="No such file"), replacing(tmp_path / "b/c") as partial:
        partial.write_text("x")


def test_the_umask_holds(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as partial:
        partial.write_text("x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write(path, 0)
    found = set()
    for number in range(40):
        writer = os.fork()
        if writer == 0:
            for value in range(1, 10_000):
                write(path, value)
            os._exit(0)
        # From before the first write to many writes later, on a busy machine too.
        time.sleep(0.006 * number)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        state = load_state_dict(path)
        assert torch.unique(torch.cat([state["weight"].ravel(), state["bias"]])).numel() == 1
        found.add(state["bias"][0].item())
    assert len(found) > 1


def write(path: Path, value: int) -> None:
    net = nn.Linear(300, 300)
    nn.init.constant_(net.weight, value)
    nn.init.constant_(net.bias, value)
    save(net, path)
