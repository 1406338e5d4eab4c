"""Scores of our criteria beside those of Torch-Pruning 1.6.1, layer by layer.

Each row scores the output channels of one convolution (3 to 128 channels, kernels of 1 to 3) by
both, over `--runs` drawn layers: the largest relative difference, and in how many layers both rank
the channels alike. Where the two mean different things, the row says what is compared.

    pip install --no-deps torch-pruning==1.6.1
    python benchmarks/criteria.py --runs 50 --out benchmarks/criteria.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from report import write_report
from secateur.pruning.criterion import Statistics, needs_of
from secateur.pruning.statistics import gather
from secateur.registry import COLLECTORS, CRITERIA


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        criterion: Ours.
        peer: Theirs, as it is made.
        made: Makes it.
        ours: From our scores to what theirs should be.
        changed: Changes the layer beforehand, where only some layers are alike.
    """

    criterion: str
    peer: str
    made: Callable[[Any], Any]
    ours: Callable[[Tensor], Tensor] = lambda scores: scores
    changed: Callable[[nn.Module], object] = nn.Module.eval


def nonnegative(net: nn.Module) -> None:
    """Take the signs of the weights away."""
    for parameter in net.parameters():
        parameter.detach().abs_()


def _plain(**options: Any) -> dict[str, Any]:
    return {"group_reduction": "first", "normalizer": None, **options}


ROWS = (
    Row("magnitude", "Magnitude(p=1)", lambda tp: tp.MagnitudeImportance(**_plain(p=1))),
    Row(
        "l2",
        "Magnitude(p=2)",
        lambda tp: tp.MagnitudeImportance(**_plain(p=2)),
        torch.square,
    ),
    Row("lamp", "LAMP(p=2)", lambda tp: tp.LAMPImportance(group_reduction="first")),
    Row(
        "fpgm",
        "FPGM(p=1), weights of one sign",
        lambda tp: tp.FPGMImportance(**_plain(p=1)),
        changed=nonnegative,
    ),
    Row("fpgm", "FPGM(p=1)", lambda tp: tp.FPGMImportance(**_plain(p=1))),
    Row("fpgm", "FPGM(p=2)", lambda tp: tp.FPGMImportance(**_plain(p=2))),
    Row(
        "taylor-gate",
        "Taylor(multivariable=True)",
        lambda tp: tp.TaylorImportance(**_plain(multivariable=True)),
        torch.sqrt,
    ),
    Row(
        "snip",
        "Taylor(multivariable=False)",
        lambda tp: tp.TaylorImportance(**_plain(multivariable=False)),
    ),
    Row(
        "taylor",
        "Taylor(multivariable=False)",
        lambda tp: tp.TaylorImportance(**_plain(multivariable=False)),
    ),
    Row("scale", "BNScale()", lambda tp: tp.BNScaleImportance("first", normalizer=None)),
)

MEANING = {
    ("l2", "Magnitude(p=2)"): "ours squared: theirs is the sum of squares",
    ("fpgm", "FPGM(p=1)"): "theirs takes distances between absolute weights",
    ("fpgm", "FPGM(p=2)"): "theirs (the default) takes distances between squared weights",
    ("taylor-gate", "Taylor(multivariable=True)"): "the root of ours; one batch",
    ("taylor", "Taylor(multivariable=False)"): "ours sums squares, theirs absolute values",
}


def mean_square(model: nn.Module, batch: Tensor) -> Tensor:
    """The loss whose gradients both look at."""
    found: Tensor = model(batch)
    return (found - 1).square().mean()


def layers(runs: int) -> Iterator[tuple[nn.Sequential, Tensor]]:
    """Convolutions with a norm, and a batch for each."""
    drawn = torch.Generator().manual_seed(0)
    for number in range(runs):
        torch.manual_seed(number)
        ranges = [(1, 9), (3, 129), (1, 4)]
        inputs, outputs, kernel = (
            int(torch.randint(*ends, (), generator=drawn)) for ends in ranges
        )
        net = nn.Sequential(nn.Conv2d(inputs, outputs, kernel), nn.BatchNorm2d(outputs)).eval()
        nn.init.normal_(net[1].weight)
        yield net, torch.randn(4, inputs, 6, 6)


def both(row: Row, net: nn.Sequential, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Our scores and theirs of the channels of a convolution."""
    import torch_pruning as tp

    row.changed(net)
    criterion = CRITERIA[row.criterion]
    wanted = [need for need in needs_of([criterion]) if need in COLLECTORS]
    gathered = gather(net, wanted, [batch], mean_square) if wanted else {}
    weight = net[0].weight.detach()
    found = Statistics(scales={"0.weight": net[1].weight.detach()}, gathered=gathered)
    known = found.in_rows("0.weight", weight, lambda one: one.flatten(1))
    ours = row.ours(criterion("0.weight", weight.flatten(1), known).double())
    net.zero_grad()
    mean_square(net, batch).backward()  # type: ignore[no-untyped-call]
    graph = tp.DependencyGraph().build_dependency(net, example_inputs=batch)
    channels = list(range(len(weight)))
    group = graph.get_pruning_group(net[0], tp.prune_conv_out_channels, idxs=channels)
    return ours, row.made(tp.importance)(group).double()


def compare(row: Row, runs: int) -> tuple[float, int]:
    """The largest relative difference, and how many layers both rank alike.

    Scores that differ by less than a ten thousandth of the largest may stand either way.
    """
    worst, alike = 0.0, 0
    for net, batch in layers(runs):
        ours, theirs = both(row, net, batch)
        scale = theirs.abs().max()
        worst = max(worst, float((ours - theirs).abs().max() / scale))
        ranked = theirs[ours.argsort(stable=True)] / scale
        alike += bool((ranked.diff() > -1e-4).all())
    return worst, alike


def main() -> None:
    """Compare, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    for row in ROWS:
        worst, alike = compare(row, given.runs)
        said = MEANING.get((row.criterion, row.peer), "")
        rows.append((f"`{row.criterion}`", row.peer, f"{worst:.1e}", f"{alike}/{given.runs}", said))
    write_report(
        given.out,
        title="Scores beside Torch-Pruning 1.6.1",
        head=("criterion", "Torch-Pruning", "largest relative difference", "ranked alike", ""),
        rows=rows,
        runs=given.runs,
        notes="Theirs are in float32: differences up to 1e-5 are its rounding, those of FPGM with "
        "weights of one sign that of distances by a product of matrices. FPGM of the paper is "
        "the distance between filters as they are, which is ours; its Hessian importance keeps "
        "the last example's gradient only (`accumulate_grad` looks for a name in a table of "
        "parameters), so there is nothing to compare `fisher` with.",
    )


if __name__ == "__main__":
    main()
