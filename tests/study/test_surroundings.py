"""A change in what a network is made of, wherever it is made, is another network.

Each change is made between what stand for two processes: the modules are imported anew.
"""

import hashlib
import importlib
import os
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from secateur import models
from secateur.study.fingerprint import digest_of, fingerprints

Change = Callable[[Path], object]

HEAD = (
    "import os, json, torch\nfrom pathlib import Path\nfrom torch import nn\n"
    "HERE = Path(__file__).parent\n"
)
LAYER = HEAD + (
    "class Act(nn.Module):\n"
    "    def __init__(self, how=None):\n        super().__init__()\n        self.how = how\n"
    "    def forward(self, x):\n        return {}\n"
    "def build():\n    return nn.Sequential(nn.Linear(3, 3), Act({}))\n"
)


def write(name: str, text: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return change


def edit(old: str, new: str, name: str = "mynets.py") -> Change:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def variable(value: str) -> Change:
    return lambda _: os.environ.update(MYNETS_SCALE=value)


def tensors(value: float, name: str) -> Change:
    return lambda folder: torch.save(torch.full((3,), value), folder / name)


def installed(version: str, text: str = "def scale(x):\n    return x\n") -> Change:
    """A package in `site-packages`, whose `deep` module a layer of its own calls."""

    def change(folder: Path) -> None:
        site = folder / "site-packages"
        code = {
            "theirs/__init__.py": "from theirs.layers import Act\n",
            "theirs/layers.py": "from torch import nn\nfrom theirs import deep\n"
            "class Act(nn.Module):\n    def forward(self, x):\n        return deep.scale(x)\n",
            "theirs/deep.py": text,
        }
        info = site / "theirs-1.dist-info"
        for name, words in code.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(words)
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: theirs\nVersion: {version}\n")
        (info / "top_level.txt").write_text("theirs\n")
        lines = [
            f"{name},sha256={urlsafe_b64encode(hashlib.sha256(w.encode()).digest()).decode()},1\n"
            for name, w in code.items()
        ]
        (info / "RECORD").write_text("".join(lines))

    return change


def nothing(_: Path) -> None:
    pass


THEIRS = (
    HEAD + "import theirs\ndef build():\n    return nn.Sequential(nn.Linear(3, 3), theirs.Act())\n"
)
HELPED = HEAD + (
    "from theirs.deep import scale\nclass Act(nn.Module):\n    def forward(self, x):\n"
    "        return scale(x)\ndef build():\n    return nn.Sequential(nn.Linear(3, 3), Act())\n"
)
TIED = HEAD + (
    "def build():\n    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))\n"
    "    nn.init.ones_(net[0].weight), nn.init.ones_(net[1].weight)\n"
    "    if json.loads((HERE / 'config.json').read_text()):\n"
    "        net[1].weight = net[0].weight\n    return net\n"
)
ORDERED = HEAD + (
    "def build():\n    kinds = {'relu': nn.ReLU, 'norm': lambda: nn.BatchNorm1d(3)}\n"
    "    names = json.loads((HERE / 'config.json').read_text())\n"
    "    return nn.ModuleDict({name: kinds[name]() for name in names})\n"
)

KINDS: dict[str, tuple[str, Change, Change]] = {
    "weights that the builder reads": (
        HEAD + "def build():\n    net = nn.Linear(3, 3)\n"
        "    net.bias.data.copy_(torch.load('w.pt', weights_only=True))\n    return net\n",
        tensors(1, "w.pt"),
        tensors(2, "w.pt"),
    ),
    "a configuration that the builder reads": (
        HEAD + "def build():\n    how = json.loads((HERE / 'config.json').read_text())\n"
        "    net = nn.Linear(3, 3)\n    net.how = how\n    return net\n",
        write("config.json", '{"deep": [1]}'),
        write("config.json", '{"deep": [2]}'),
    ),
    "a configuration read at import, that a layer reads": (
        LAYER.replace(
            "class", "CONFIG = json.loads((HERE / 'config.json').read_text())\nclass", 1
        ).format("x * CONFIG['scale']", ""),
        write("config.json", '{"scale": 1}'),
        write("config.json", '{"scale": 2}'),
    ),
    "an environment variable that the builder reads": (
        LAYER.format("x * self.how", "float(os.environ.get('MYNETS_SCALE', '1'))"),
        nothing,
        variable("2"),
    ),
    "an environment variable that forward reads": (
        LAYER.format("x * float(os.getenv('MYNETS_SCALE', '1'))", ""),
        nothing,
        variable("2"),
    ),
    "an environment variable read at import": (
        LAYER.replace("class", "SCALE = float(os.environ.get('MYNETS_SCALE', 1))\nclass", 1).format(
            "x * SCALE", ""
        ),
        nothing,
        variable("3"),
    ),
    "an environment variable whose name is a global": (
        LAYER.replace("class", "NAME = 'MYNETS_SCALE'\nclass", 1).format(
            "x * float(os.environ.get(NAME, 1))", ""
        ),
        nothing,
        variable("2"),
    ),
    "what forward computes": (LAYER.format("x", ""), nothing, edit("return x", "return -x")),
    "a helper's constant": (
        LAYER.replace("import os", "import os, helper", 1).format("x * helper.SCALE", ""),
        write("helper.py", "SCALE = 1\n"),
        write("helper.py", "SCALE = 2\n"),
    ),
    "a helper in a folder": (
        LAYER.replace("import os", "import os, parts.deep.helper", 1).format(
            "parts.deep.helper.scale(x)", ""
        ),
        write("parts/deep/helper.py", "def scale(x):\n    return x\n"),
        edit("x\n", "2 * x\n", "parts/deep/helper.py"),
    ),
    "a module put in place of another": (
        LAYER.replace("import os", "import os, helper", 1).format("helper.scale(x)", ""),
        write("helper.py", "def scale(x):\n    return x\n"),
        write("helper/__init__.py", "def scale(x):\n    return 2 * x\n"),
    ),
    "a default argument": (
        HEAD + "def build(how=1):\n    net = nn.Linear(3, 3)\n    net.how = how\n    return net\n",
        nothing,
        edit("how=1", "how=2"),
    ),
    "a class attribute": (
        LAYER.replace("    def __init__", "    scale = 1\n    def __init__", 1).format(
            "x * self.scale", ""
        ),
        nothing,
        edit("scale = 1", "scale = 2"),
    ),
    "a weight that two layers share": (
        TIED,
        write("config.json", "true"),
        write("config.json", "false"),
    ),
    "the order of a ModuleDict": (
        ORDERED,
        write("config.json", '["relu", "norm"]'),
        write("config.json", '["norm", "relu"]'),
    ),
    "another version of a layer's package": (THEIRS, installed("1.0"), installed("1.1")),
    "other code in a layer's package": (
        THEIRS,
        installed("1.0"),
        installed("1.0", "def scale(x):\n    return 2 * x\n"),
    ),
    "other code in a helper's package": (
        HELPED,
        installed("1.0"),
        installed("1.0", "def scale(x):\n    return 2 * x\n"),
    ),
    "a module in an archive": (
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).parent / 'lib.zip'))\n"
        "from zipped import build\n",
        lambda folder: archive(folder, "x"),
        lambda folder: archive(folder, "-x"),
    ),
    "a graph that was written to a file": (
        HEAD + "def build():\n    return torch.jit.load(str(HERE / 'net.pt'))\n",
        lambda folder: scripted(1, folder),
        lambda folder: scripted(2, folder),
    ),
}


def archive(folder: Path, returned: str) -> None:
    with zipfile.ZipFile(folder / "lib.zip", "w") as made:
        made.writestr("zipped.py", LAYER.format(returned, ""))


class Scaled(nn.Linear):
    factor = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.factor


def scripted(factor: float, folder: Path) -> None:
    torch.manual_seed(0)
    net = Scaled(3, 3)
    net.factor = factor
    torch.jit.save(torch.jit.trace(net, torch.ones(1, 3)), str(folder / "net.pt"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two texts of one second look alike
    monkeypatch.delenv("MYNETS_SCALE", raising=False)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    os.environ.pop("MYNETS_SCALE", None)
    forget(tmp_path)


def forget(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    importlib.invalidate_caches()
    sys.path_importer_cache.clear()


def parts_of(folder: Path) -> dict[str, str]:
    """The parts of `mynets:build`, as a new process has them."""
    forget(folder)
    builder = models.find("mynets:build")

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        net = builder()
        assert isinstance(net, nn.Module)
        return net

    return fingerprints(builder, build, [0])[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_change_wherever_it_is_made(kind: str, folder: Path) -> None:
    text, before, after = KINDS[kind]
    write("mynets.py", text)(folder)
    before(folder)
    first = digest_of(parts_of(folder))
    assert digest_of(parts_of(folder)) == first
    after(folder)
    assert digest_of(parts_of(folder)) != first


def test_what_is_no_part_of_the_network_names_nothing(folder: Path) -> None:
    write("mynets.py", LAYER.format("x", "") + "def log():\n    open('log.txt', 'a')\n")(folder)
    first = parts_of(folder)
    write("log.txt", "words")(folder)
    write("scale.json", "1")(folder)
    variable("2")(folder)
    assert parts_of(folder) == first
