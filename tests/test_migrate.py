"""The pages for users of other libraries: the other library's blocks, run wherever it is installed.

The blocks on our side are run everywhere, with those of all other pages, by `test_docs.py`.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

import secateur
from secateur.registry import METHODS

FOLDER = Path(__file__).parents[1] / "docs" / "migrate"
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted(FOLDER.glob("*.md"))}
# What a page's blocks of another library need; the others' are part of PyTorch, or need a GPU.
NEEDS = {"torch-pruning.md": "torch_pruning"}
BLOCK = re.compile(
    r"^```(?:python|\{code-block\} python\n:caption: (?P<of>[^\n]+)\n)\n(?P<code>.*?)^```$",
    re.S | re.M,
)


@pytest.mark.parametrize("page", [name for name in PAGES if name != "index.md"])
def test_every_page_says_what_becomes_of_each_call_and_of_checkpoints(page):
    text = PAGES[page]
    assert "## Checkpoints that you have" in text
    (head,) = re.findall(r"^\| .* \| secateur \|$", text, re.M)
    assert text.partition(head)[2].count("\n| ") > 5
    assert f"({page})" in PAGES["index.md"]
    assert f"\n{page.removesuffix('.md')}\n" in PAGES["index.md"].partition("toctree")[2]


def ours(page: str) -> list[str]:
    """What stands as code in the last column of a page's table."""
    rows = re.findall(r"^\| .* \| ([^|]*) \|$", PAGES[page], re.M)
    return [span for row in rows for span in re.findall(r"`([^`]+)`", row)]


CALLS = [
    (page, span) for page in PAGES for span in ours(page) if span.startswith("secateur.prune(")
]


@pytest.mark.parametrize(("page", "call"), [one for one in CALLS if "..." not in one[1]])
def test_every_call_of_a_table_runs(page, call):
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 8))
    names = {
        "secateur": secateur,
        "model": model,
        "example": torch.randn(2, 4, 4, 4),
        "batches": [torch.randn(4, 4, 4, 4)],
        "loss": lambda net, batch: net(batch).sum(),
        "mask": torch.rand(8, 4, 3, 3) > 0.5,
    }
    assert eval(call, names).zeros > 0


@pytest.mark.parametrize("page", [name for name in PAGES if name != "index.md"])
def test_every_method_of_a_table_is_one(page):
    quoted = [span.strip('"') for span in ours(page) if re.fullmatch(r'"[a-z][a-z0-9-]*"', span)]
    schedules = ("gradual", "incremental")
    assert [name for name in quoted if name not in (*METHODS, *schedules)] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_other_librarys_blocks_are_python(page):
    for found in BLOCK.finditer(PAGES[page]):
        compile(found["code"], page, "exec")


@pytest.mark.parametrize("page", NEEDS)
def test_the_other_librarys_blocks_run_among_ours(page, tmp_path, monkeypatch):
    if not find_spec(NEEDS[page]):
        pytest.skip(f"needs {NEEDS[page]}")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = [found["code"] for found in BLOCK.finditer(PAGES[page])]
    assert any(NEEDS[page] in code for code in blocks)
    for code in blocks:
        exec(compile(code, page, "exec"), names)
