"""Writes `benchmarks/RESULTS.md` from committed results, or checks that it is what they say.

    PYTHONPATH=src python benchmarks/story/write.py [--check]

A section is a heading, what is written by hand of it (`benchmarks/story/NAME.md`), and the tables
of its results. What has no results yet says so, with the command that makes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))
sys.path.insert(0, str(Path(__file__).parent))
import costs
import original
import shipped_nets
import tables
from check import studies, unknown

HERE = Path(__file__).parent
BENCHMARKS = HERE.parent
TARGET = BENCHMARKS / "RESULTS.md"
Lines = Iterator[str]


class Section(NamedTuple):
    """A part of the story.

    Attributes:
        name: Of the file with what is written by hand.
        title: Its heading.
        results: The committed results that its tables are made of.
        command: What makes them.
        tables: The tables of one results file.
        figures: Endings of figures that lie beside the results.
        before: Tables that need no results.
    """

    name: str
    title: str
    results: tuple[str, ...]
    command: str
    tables: Callable[[dict[str, Any]], Lines]
    figures: tuple[str, ...] = ()
    before: Callable[[], Lines] = lambda: iter(())


def _study(found: dict[str, Any]) -> Lines:
    yield from (*tables.areas(found), *costs.table(found), *tables.by_level(found))


def _peers(found: dict[str, Any]) -> Lines:
    yield from tables.attempts(found) if "attempts" in found else tables.peers(found)


def _claims(found: dict[str, Any]) -> Lines:
    yield from (*original.table(found), "", *_study(found))


def _tuned(found: dict[str, Any]) -> Lines:
    """The study with a tuned base against the one without."""
    name = found["study"].removesuffix("-tuned")
    first = json.loads((BENCHMARKS / f"studies/{name}.json").read_text(encoding="utf-8"))
    yield from (*original.against(first, found), "", *_study(found))


FIGURES = ("-1a.png", "-1b.png")
RUN = "python benchmarks/studies/run.py"
SECTIONS = (
    Section(
        "original",
        "The study that secateur comes from",
        (
            "studies/original-shapes-short",
            "studies/original-shapes",
            "studies/original-fashion-mini",
        ),
        f"{RUN} NAME",
        _claims,
        FIGURES,
    ),
    Section(
        "tuned",
        "A better-tuned base",
        ("studies/original-shapes-short-tuned",),
        "python benchmarks/studies/tuned.py original-shapes-short",
        _tuned,
        FIGURES,
    ),
    Section(
        "recipe",
        "The same under one total budget, with our recipe",
        (
            "recipes/conv4/every-guarded",
            "studies/recipe-shapes-short",
            "studies/recipe-shapes",
            "studies/recipe-fashion-mini",
        ),
        f"{RUN} NAME",
        _claims,
        FIGURES,
    ),
    Section(
        "yardsticks",
        "Yardsticks: published against ours",
        ("yardsticks/fashion-mini-small", "yardsticks/digits-small"),
        "secateur yardsticks",
        tables.yardsticks,
        before=tables.published,
    ),
    Section(
        "peers",
        "Peers: the same base nets, data and total budget",
        ("peers/peers", "peers/fasterai"),
        "python benchmarks/peers/peers.py",
        _peers,
    ),
    Section(
        "shipped",
        "Nets that people use: from the study to the file",
        ("shipped/encoder", "shipped/resnet18"),
        "python benchmarks/shipped.py",
        shipped_nets.table,
    ),
    Section(
        "gpu",
        "Deeper nets, on a GPU",
        ("studies/gpu/resnet56", "studies/gpu/vgg19-bn"),
        "python benchmarks/studies/gpu.py --out benchmarks/studies/gpu",
        _study,
    ),
)  # fmt: skip


def prose(name: str) -> str:
    """What is written by hand of a section."""
    file = HERE / f"{name}.md"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def lines() -> Lines:
    """RESULTS.md."""
    yield from (
        "# Results",
        "",
        "Made by `python benchmarks/story/write.py`.",
        "",
        prose("story"),
        "",
    )
    for section in SECTIONS:
        yield from (f"## {section.title}", "")
        if said := prose(section.name):
            yield from (said, "")
        yield from section.before()
        for name in section.results:
            yield from _results(section, name)


def _results(section: Section, name: str) -> Lines:
    file = BENCHMARKS / f"{name}.json"
    if not file.is_file():
        yield from (f"`{name}`: not measured yet; `{section.command}` makes it.", "")
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    yield from (f"### {file.stem}", "", f"[{name}.json]({name}.json): {tables.about(found)}", "")
    for ending in section.figures:
        if (BENCHMARKS / f"{name}{ending}").is_file():
            yield from (f"![{file.stem}, figure {ending[1:3]}]({name}{ending})", "")
    yield from section.tables(found)


def problems() -> list[str]:
    """What does not hold of the committed RESULTS.md."""
    text = "\n".join(lines())
    found = []
    if not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
        found.append("RESULTS.md is not what the results say; write it anew")
    made = [line for line in text.splitlines() if line.startswith(("|", "["))]
    texts = [*studies(BENCHMARKS), *made]
    for name in ("story", *(section.name for section in SECTIONS)):
        found += [f"{name}.md: {one} is in no result" for one in unknown(prose(name), texts)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        found = problems()
        print("\n".join(found) or "Every number is in a committed result.")
        sys.exit(bool(found))
    TARGET.write_text("\n".join(lines()), encoding="utf-8")


if __name__ == "__main__":
    main()
