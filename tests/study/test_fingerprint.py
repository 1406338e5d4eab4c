"""A network of one's own names its runs: whatever changes in it or behind it changes the name."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateur import models
from secateur.errors import ModelError
from secateur.study.fingerprint import (
    check_net,
    digest_of,
    fingerprints,
    import_anew,
    note_files,
)

NET = """
import torch
from torch import nn
from pkg.layers import Act
import widths
LR_SCALE = 1
def build():
    from lazily import DEPTH
    net = nn.Sequential(nn.Linear(4, widths.W), *[Act() for _ in range(DEPTH)])
    try:
        net[0].load_state_dict(torch.load("w.pt", weights_only=True))
    except OSError:
        pass
    return net
"""
FILES = {
    "mynets.py": NET,
    "widths.py": "W = 4\n",
    "lazily.py": "DEPTH = 1\n",
    "pkg/__init__.py": "",
    "pkg/layers.py": "from torch import nn\nfrom .deep import scale\nclass Act(nn.Module):\n"
    "    factor = 2\n    def forward(self, x):\n        return scale(x) * self.factor\n",
    "pkg/deep.py": "from . import deeper\ndef scale(x):\n    return x * deeper.S\n",
    "pkg/deeper.py": "S = 1.0\n",
    "unrelated.py": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def parts_of(builder: Callable[..., Any], seed: int = 0) -> dict[str, str]:
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        net = builder()
        assert isinstance(net, nn.Module)
        return net

    return fingerprints(builder, build, [seed])[seed]


def named() -> str:
    """The digest of `mynets:build`, as a sweep in this process makes it."""
    import_anew("mynets:build")
    parts = parts_of(models.find("mynets:build"))
    note_files(parts)
    return digest_of(parts)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mynets.py", "LR_SCALE = 1", "LR_SCALE = 2"),
        ("widths.py", "4", "5"),  # as long, and written within the same second
        ("lazily.py", "1", "2"),
        ("pkg/layers.py", "factor = 2", "factor = 3"),
        ("pkg/deep.py", "x * ", "x / "),
        ("pkg/deeper.py", "1.0", "1.5"),
    ],
)
def test_a_changed_file_however_deep(folder: Path, file: str, old: str, new: str) -> None:
    before = named()
    assert named() == before
    replace(folder / file, old, new)
    changed = named()
    assert changed != before
    replace(folder / file, new, old)
    assert named() == before


def test_the_new_text_is_what_is_built(folder: Path) -> None:
    named()
    replace(folder / "widths.py", "4", "6")
    import_anew("mynets:build")
    assert models.find("mynets:build")()[0].out_features == 6  # type: ignore[index]


def test_a_checkpoint_behind_the_builder(folder: Path) -> None:
    before = named()
    torch.save(nn.Linear(4, 4).state_dict(), "w.pt")
    first = named()
    torch.save({"weight": torch.ones(4, 4), "bias": torch.ones(4)}, "w.pt")
    assert len({before, first, named()}) == 3


def test_a_file_that_is_not_read_names_nothing(folder: Path) -> None:
    before = named()
    (folder / "unrelated.py").write_text("x = 1\n")
    (folder / "README").write_text("words")
    assert named() == before


class Net(nn.Module):
    def __init__(self, scale: float, buffer: float = 0, shadow: float = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.scale = scale
        self.options = {"shadow": [shadow]}
        self.register_buffer("kept", torch.tensor([buffer]), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * self.scale


def frozen() -> nn.Module:
    net = Net(1)
    net.linear.weight.requires_grad_(False)
    return net


def hooked(times: float) -> nn.Module:
    net = Net(1)
    net.linear.register_full_backward_hook(lambda *args: (args[1][0] * times,))
    return net


def hooked_weight(times: float) -> nn.Module:
    net = Net(1)
    net.linear.weight.register_hook(lambda grad: grad * times)
    return net


def sparse(value: float) -> nn.Module:
    net = Net(1)
    net.register_buffer("edges", (torch.arange(3000.0) + (torch.arange(3000) == 1500) * value))
    net.edges = net.edges.to_sparse()
    return net


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "as it is": lambda: Net(1),
    "an attribute": lambda: Net(2),
    "a buffer that is not saved": lambda: Net(1, buffer=1),
    "an option in a map": lambda: Net(1, shadow=1),
    "a frozen weight": frozen,
    "another type": lambda: Net(1).double(),
    "a hook on gradients": lambda: hooked(2),
    "another hook on gradients": lambda: hooked(3),
    "a hook on a weight's gradient": lambda: hooked_weight(2),
    "another hook on a weight's gradient": lambda: hooked_weight(3),
    "a sparse buffer": lambda: sparse(0),
    "another sparse buffer": lambda: sparse(1),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.1)),
    "more dropout": lambda: nn.Sequential(nn.Dropout(0.2)),
}


def test_every_part_of_a_net_counts() -> None:
    nets = {}
    for name, build in BUILDERS.items():

        def seeded(seed: int, build: Callable[[], nn.Module] = build) -> nn.Module:
            torch.manual_seed(seed)
            return build()

        # The builder is the same for all: what differs is the net.
        nets[name] = digest_of(fingerprints(nn.Sequential, seeded, [0])[0])
    assert len(set(nets.values())) == len(BUILDERS)


def test_each_seed_has_a_name_and_none_depends_on_the_others() -> None:
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Linear(3, 3)

    both = fingerprints(nn.Linear, build, [0, 5])
    assert both[0] != both[5]
    assert both[5] == fingerprints(nn.Linear, build, [5])[5]


def test_a_net_that_is_random_without_a_seed_is_refused() -> None:
    generator = torch.Generator()

    def build() -> nn.Module:
        net = nn.Linear(3, 3)
        with torch.no_grad():
            net.weight.normal_(generator=generator)
        return net

    with pytest.raises(ModelError, match="the parameter weight is different in the two"):
        parts_of(build)


def test_a_clock_in_an_attribute_is_no_setting() -> None:
    ticks = iter(range(100))

    def build() -> nn.Module:
        net = nn.Linear(3, 3)
        net.made = next(ticks)  # type: ignore[assignment]
        return net

    assert not any("made" in name for name in parts_of(build))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda net: net.linear.weight.data.add_(1), "linear.weight"),
        (lambda net: net.kept.add_(1), "kept"),
        (lambda net: setattr(net, "scale", 7), "scale"),
        (lambda net: net.add_module("more", nn.ReLU()), "more"),
        (lambda net: delattr(net, "linear"), "linear"),
    ],
)
def test_a_worker_that_builds_another_net_says_what_is_other(
    change: Callable[[Any], object], named: str
) -> None:
    expected = parts_of(lambda: Net(1))
    torch.manual_seed(0)
    net = Net(1)
    check_net(net, expected)
    change(net)
    with pytest.raises(ModelError, match=named):
        check_net(net, expected)


def test_a_file_edited_while_the_sweep_runs_is_seen(folder: Path) -> None:
    builder = models.find("mynets:build")
    expected = parts_of(builder)
    torch.manual_seed(0)
    check_net(builder(), expected)  # type: ignore[arg-type]
    replace(folder / "pkg" / "deep.py", "*", "+")
    torch.manual_seed(0)
    with pytest.raises(ModelError, match=r"the file of pkg\.deep"):
        check_net(builder(), expected)  # type: ignore[arg-type]


def test_a_global_set_from_outside_is_seen(folder: Path) -> None:
    builder = models.find("mynets:build")
    expected = parts_of(builder)
    torch.manual_seed(0)
    net = builder()
    sys.modules["pkg.deeper"].S = 2.0  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=r"the global pkg\.deeper:S"):
        check_net(net, expected)  # type: ignore[arg-type]
