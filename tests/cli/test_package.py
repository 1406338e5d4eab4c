"""`secateur package`: a point of a study in a folder that runs it."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import secateur
from secateur import models
from secateur.runtime.kernels import kernels
from secateur.runtime.portable.net import Net

Command = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.skipif(not kernels.available(), reason="no native kernels here")


@pytest.fixture
def run(undisturbed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(undisturbed.folder)
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    return undisturbed.folder / "run"


def test_a_point_is_packaged_and_gives_what_its_file_gives(run: Path, command: Command) -> None:
    code, said, err = command(
        "package", str(run), "--point", "l1-filter:0.7", "--model", "tiny:net"
    )
    folder = run / "packages" / "l1-filter-0.7-0"
    assert code == 0, err
    assert f"l1-filter 0.7 seed 0: {folder}" in said
    command("export", str(run), "--point", "l1-filter:0.7", "--model", "tiny:net")
    net = secateur.load(
        run / "exports" / "l1-filter-0.7-0.safetensors",
        lambda: models.build("tiny:net", (3, 12, 12), 5),
    )
    inputs = torch.rand(9, 3, 12, 12)
    with torch.no_grad():
        expected = net(inputs).numpy()
    assert np.allclose(Net(folder / "net.plan")(inputs.numpy()), expected, atol=1e-4)
    code, _, err = command("package", str(run), "--point", "l1-filter:0.7", "--model", "tiny:net")
    assert code == 2
    assert "a folder that is not empty" in err


def test_what_is_meant_has_to_be_said_once(run: Path, command: Command) -> None:
    for options in ((), ("--point", "dense", "--within", "0.1")):
        code, _, err = command("package", str(run), *options)
        assert code == 2
        assert "what to export is" in err
