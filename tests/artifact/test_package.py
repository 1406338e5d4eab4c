"""The package: the same outputs where torch cannot be imported, in Python and in C."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import secateur
from secateur.artifact.package import package
from secateur.errors import ArtifactError, ModelError, UsageError
from secateur.runtime.kernels import kernels

pytestmark = pytest.mark.skipif(not kernels.available(), reason="no native kernels here")

COMPILER = shutil.which("cc")
SHAPE = (1, 12, 12)
# Whatever else is installed beside numpy is out of reach, too.
ALONE = """
import importlib.abc, json, sys

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "secateur", "scipy", "pydantic", "zstandard"):
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, Refusing())
sys.path.insert(0, sys.argv[1])
import numpy
before = set(sys.modules)
from secateur_runtime import Net

inputs = numpy.load(sys.argv[2])
net = Net(f"{sys.argv[1]}/net.plan")
numpy.save(sys.argv[3], net(inputs))
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def pruned() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(8),
        nn.Flatten(), nn.Linear(200, 16), nn.ReLU(), nn.Linear(16, 4),
    )  # fmt: skip
    nn.init.uniform_(net[4].running_mean)
    secateur.prune(net, "magnitude", sparsity=0.9)
    return net.eval()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module, np.ndarray]:
    net = pruned()
    folder = package(net, torch.zeros(1, *SHAPE), tmp_path_factory.mktemp("package") / "small")
    inputs = torch.randn(19, *SHAPE, generator=torch.Generator().manual_seed(0)).numpy()
    return folder, net, inputs


def expected(net: nn.Module, inputs: np.ndarray) -> np.ndarray:
    return net(torch.from_numpy(inputs)).detach().numpy()


def test_it_gives_the_same_where_torch_cannot_be_imported(
    deployed: tuple[Path, nn.Module, np.ndarray], tmp_path: Path
) -> None:
    folder, net, inputs = deployed
    np.save(tmp_path / "inputs.npy", inputs)
    paths = [str(folder), str(tmp_path / "inputs.npy"), str(tmp_path / "outputs.npy")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *paths],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert np.allclose(np.load(tmp_path / "outputs.npy"), expected(net, inputs), atol=1e-4)
    # What a machine has to load beside numpy: this package and some of Python itself.
    own = [name for name in json.loads(done.stdout) if name.startswith("secateur_runtime")]
    assert len(own) <= 16
    others = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert others <= sys.stdlib_module_names | {"secateur_runtime", "numpy", "__mp_main__"}


def test_it_is_as_large_as_the_kernels_and_a_tenth_of_the_weights(
    deployed: tuple[Path, nn.Module, np.ndarray],
) -> None:
    folder, net, _ = deployed
    dense = sum(4 * one.numel() for one in net.parameters())
    assert (folder / "net.plan").stat().st_size < dense / 4
    shipped = (one for one in folder.rglob("*.*") if "__pycache__" not in one.parts)
    sizes = {one: one.stat().st_size for one in shipped if one.is_file()}
    kernel_bytes = sum(size for path, size in sizes.items() if path.suffix in (".so", ".dylib"))
    assert sum(sizes.values()) - kernel_bytes < 100_000


@pytest.mark.skipif(COMPILER is None, reason="no C compiler here")
def test_the_c_program_gives_the_same(
    deployed: tuple[Path, nn.Module, np.ndarray], tmp_path: Path
) -> None:
    folder, net, inputs = deployed
    build = [
        str(COMPILER), "-O1", "-Wall", "-Wextra", "-Werror", "-I", str(folder),
        str(folder / "run.c"), str(folder / "secateur_runtime/runtime/kernels/_secateur.so"),
        "-o", str(tmp_path / "run"), f"-Wl,-rpath,{folder}/secateur_runtime/runtime/kernels",
    ]  # fmt: skip
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    command = [str(tmp_path / "run"), str(folder / "net.plan")]
    done = subprocess.run(command, input=inputs.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    given = np.frombuffer(done.stdout, np.float32).reshape(len(inputs), -1)
    assert np.allclose(given, expected(net, inputs), atol=1e-4)
    short = subprocess.run(command, input=inputs.tobytes()[:-4], capture_output=True, check=False)
    assert (short.returncode, short.stderr) == (1, b"run: the last example is cut off\n")
    assert len((folder / "run.c").read_text().splitlines()) <= 50
    (tmp_path / "other.plan").write_bytes(b"no plan")
    refused = subprocess.run(
        [command[0], str(tmp_path / "other.plan")], capture_output=True, check=False
    )
    assert (refused.returncode, refused.stderr) == (1, b"run: no plan of this version\n")


def test_a_net_with_an_unknown_operator_leaves_nothing(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 2), nn.Softmin(1))
    with pytest.raises(ModelError, match="packaging a network: the operator "):
        package(net, torch.zeros(1, 4), tmp_path / "small")
    assert not list(tmp_path.iterdir())


def test_a_package_that_differs_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(_: object, inputs: np.ndarray) -> np.ndarray:
        return np.ones((len(inputs), 2), np.float32)

    monkeypatch.setattr("secateur.artifact.package.Net.__call__", wrong)
    with pytest.raises(ArtifactError, match=r"the package on a batch of 1 is .* away"):
        package(nn.Linear(4, 2), torch.zeros(1, 4), tmp_path / "small")
    assert not list(tmp_path.iterdir())


def test_what_lies_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place, words in ((tmp_path, "a folder that is not empty"), (tmp_path / "file", "a file")):
        with pytest.raises(UsageError, match=words):
            package(nn.Linear(4, 2), torch.zeros(1, 4), place)
    assert (tmp_path / "file").read_text() == "mine"
