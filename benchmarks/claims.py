"""What each method's paper says of it, tried at small scale: 5 seeds, and the band decides.

    python benchmarks/claims.py             # measures; benchmarks/methods/claims.json
    python benchmarks/methods.py --table    # its table stands in benchmarks/methods/RESULTS.md

Without any training after the cut: LeNet-5, trained on 1,000 images of Fashion-MNIST, is cut and
scored on the validation split; once as it is, and once with each hidden unit scaled by a power of
two and what reads it by the inverse, which leaves the function as it was and makes activations
differ in scale. Before any training: LeNet-5 as initialised is cut to a few weights, and what is
counted is what its narrowest layer has left. All that takes training comes from the rank table's
own points.
"""

from __future__ import annotations

import copy
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parent))
from repair import BATCH, BATCHES, accuracy

import secateur
import secateur.data
from secateur.data.images import ImageData
from secateur.measure.environment import environment
from secateur.models.lenet import lenet_5
from secateur.study.aggregate import estimate
from secateur.training.fit import fit
from secateur.training_settings import TrainingSpec

FILE = Path(__file__).parent / "methods" / "claims.json"
SEEDS, EPOCHS = 5, 8
WEIGHTS = ("magnitude", "wanda", "sparsegpt", "obd", "fisher", "lamp", "random-weight")
BY_LAYER = ("magnitude", "obd", "fisher", "random-weight")
"""Those that would rank all layers together: as the others do, each layer loses the same share."""
FILTERS = ("l1-filter", "l2-filter", "fpgm", "taylor-filter", "taylor-gate", "taylor-activation",
           "mean-activation", "apoz", "hrank", "random-filter")  # fmt: skip
NEW = ("snip", "grasp", "synflow", "static-sparse")
CUTS: Mapping[str, tuple[Sequence[str], Sequence[float]]] = {
    "trained": (WEIGHTS, (0.5, 0.8, 0.9)),
    "rescaled": (WEIGHTS, (0.5, 0.8, 0.9)),
    "filters": (FILTERS, (0.3, 0.5)),
    "new": (NEW, (0.99, 0.999)),
}


@dataclass(frozen=True)
class Claim:
    """One method above another, in the words of who says so.

    Attributes:
        words: What is said.
        source: The paper.
        better, worse: The methods.
        where: A row of `CUTS`, or `retrained`: the points of the rank table.
        levels: Where it is looked at.
    """

    words: str
    source: str
    better: str
    worse: str
    where: str
    levels: Sequence[float]


CLAIMS = (
    Claim("without retraining, where activations differ in scale", "Sun et al. 2023",
          "wanda", "magnitude", "rescaled", (0.5, 0.8)),
    Claim("without retraining, on the net as it is", "Sun et al. 2023",
          "wanda", "magnitude", "trained", (0.5, 0.8)),
    Claim("weights that are left make up for those that go", "Frantar and Alistarh 2023",
          "sparsegpt", "wanda", "trained", (0.5, 0.8, 0.9)),
    Claim("curvature before size, without retraining", "LeCun et al. 1990",
          "obd", "magnitude", "trained", (0.5, 0.8, 0.9)),
    Claim("the change of the loss before the size of a filter", "Molchanov et al. 2019",
          "taylor-filter", "l1-filter", "filters", (0.3, 0.5)),
    Claim("the geometric median before the norm", "He et al. 2019",
          "fpgm", "l2-filter", "filters", (0.3, 0.5)),
    Claim("the rank of the maps before the norm", "Lin et al. 2020",
          "hrank", "l1-filter", "filters", (0.3, 0.5)),
    Claim("no layer collapses, where SNIP's do", "Tanaka et al. 2020",
          "synflow", "snip", "new", (0.99, 0.999)),
    Claim("connections that move, before fixed ones", "Mocanu et al. 2018",
          "set", "static-sparse", "retrained", (0.9, 0.98)),
    Claim("growth by gradients, before growth at random", "Evci et al. 2020",
          "rigl", "set", "retrained", (0.9, 0.98)),
    Claim("gradual before one cut, at equal training", "Zhu and Gupta 2017",
          "own:GRADUAL", "magnitude", "retrained", (0.9, 0.98)),
    Claim("scores that know their layer, before a global threshold", "Lee et al. 2021",
          "lamp", "magnitude", "retrained", (0.9, 0.98)),
    Claim("sensitivity before random connections, at initialisation", "Lee et al. 2019",
          "snip", "static-sparse", "retrained", (0.9, 0.98)),
    Claim("flow before sensitivity, at high sparsity", "Tanaka et al. 2020",
          "synflow", "snip", "retrained", (0.9, 0.98)),
    Claim("dense phases between sparse ones, before static connections", "Peste et al. 2021",
          "ac-dc", "static-sparse", "retrained", (0.9, 0.98)),
    Claim("whole groups driven to zero, before their size alone", "Fang et al. 2023",
          "group-lasso", "l1-filter", "retrained", (0.5, 0.8)),
    Claim("a penalty that grows, before the cut at once", "Wang et al. 2021",
          "growing", "l1-filter", "retrained", (0.5, 0.8)),
    Claim("scales pushed to zero, before the norm of a filter", "Liu et al. 2017",
          "slimming", "l1-filter", "retrained", (0.5, 0.8)),
)  # fmt: skip


def measure() -> None:
    """Cut and score, seed by seed; writes `FILE`."""
    found: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        for key, value in _of(seed):
            found.setdefault(key, []).append(value)
        print("seed", seed, "done", file=sys.stderr, flush=True)
    facts = {"environment": environment(), "found": found}
    FILE.write_text(json.dumps(facts, indent=1).replace("\n   ", " ") + "\n", encoding="utf-8")


def _of(seed: int) -> Iterator[tuple[str, float]]:
    """What all cuts of a seed give, each by `where method level`."""
    data = secateur.data.load("fashion-mini", train=1000, val=1000, test=100)
    if not isinstance(data, ImageData):
        raise TypeError("fashion-mini is images")
    torch.manual_seed(seed)
    new = lenet_5(data.shape, data.classes)
    trained = copy.deepcopy(new)
    spec = TrainingSpec(batch_size=32, schedule="cosine")
    fit(trained, data, spec, epochs=EPOCHS, seed=seed, device="cpu")
    trained.eval()
    order = torch.Generator().manual_seed(seed)
    batches = list(islice(data.batches("train", BATCH, generator=order), BATCHES))
    nets = {"new": new, "rescaled": rescaled(trained, seed)}
    for where, (methods, levels) in CUTS.items():
        for method in methods:
            for level in levels:
                net = copy.deepcopy(nets.get(where, trained))
                masks = _cut(net, method, level, batches, seed)
                value = narrowest(masks) if where == "new" else float(accuracy(net, data))
                yield f"{where} {method} {level}", value


def _cut(
    net: nn.Module, method: str, level: float, batches: Sequence[Any], seed: int
) -> secateur.Masks:
    asked: dict[str, Any] = {"ranking": "layer"} if method in BY_LAYER else {}
    return secateur.prune(
        net,
        method,
        sparsity=level,
        seed=seed,
        data=batches,
        loss=lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
        example_inputs=batches[0][0][:2],
        **asked,
    )


def rescaled(model: nn.Module, seed: int) -> nn.Module:
    """The same function, each hidden unit at a scale of its own: 2^-3 to 2^3."""
    scaled = copy.deepcopy(model)
    layers = [one for one in scaled.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for one, reader in pairwise(layers):
            count = one.weight.shape[0]
            scale = 2.0 ** torch.randint(-3, 4, (count,), generator=drawn).float()
            one.weight.mul_(scale.reshape(-1, *[1] * (one.weight.ndim - 1)))
            one.bias.mul_(scale)
            inputs = scale.repeat_interleave(reader.weight.shape[1] // count)
            reader.weight.div_(inputs.reshape(1, -1, *[1] * (reader.weight.ndim - 2)))
    return scaled


def narrowest(masks: secateur.Masks) -> float:
    """How many weights the layer with the fewest has left."""
    return float(min(int(mask.sum()) for mask in masks.values()))


def lines(points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table of the claims, and whether each holds here.

    Args:
        points: Those of the rank table.
    """
    facts = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"found": {}}
    yield from ("## Claims", "", " ".join((__doc__ or "").split("\n\n")[-1].split()), "")
    yield (
        "A claim holds where the mean difference, seed by seed, is beyond its 95 % band; it is "
        "`open` where the band reaches zero, and fails where the difference is beyond it on the "
        "other side. Figures are validation accuracies, and weights left for the nets before "
        "training."
    )
    yield ""
    heads = ["better", "worse", "claim", "level", "better has", "worse has", "difference", "here"]
    yield from ("| " + " | ".join(heads) + " |", "|" + "---|" * len(heads))
    for claim in CLAIMS:
        for level in claim.levels:
            pair = [
                _values(facts["found"], points, claim.where, name, level)
                for name in (claim.better, claim.worse)
            ]
            if all(pair):
                yield _row(claim, level, *pair)
    yield ""
    if "environment" in facts:
        yield "; ".join(f"{name} {value}" for name, value in facts["environment"].items()) + "."


def _values(
    found: Mapping[str, Sequence[float]],
    points: Sequence[Mapping[str, Any]],
    where: str,
    method: str,
    level: float,
) -> list[Fraction]:
    if where != "retrained":
        return [Fraction(value) for value in found.get(f"{where} {method} {level}", ())]
    own = [one for one in points if one["method"] == method and one["level"] == str(level)]
    return [Fraction(*one["val"]) for one in sorted(own, key=lambda one: one["seed"])]


def _row(claim: Claim, level: float, better: list[Fraction], worse: list[Fraction]) -> str:
    difference = estimate([a - b for a, b in zip(better, worse, strict=True)])
    band = difference.band or 0
    beyond = abs(difference.mean) > band
    verdict = "open" if not beyond else "**holds**" if difference.mean > 0 else "**fails**"
    cells = [
        f"`{claim.better}`", f"`{claim.worse}`", f"{claim.words} ({claim.source})", str(level),
        *(str(estimate(values)).split(" (")[0] for values in (better, worse)),
        f"{float(difference.mean):+.3f} ±{float(band):.3f}", verdict,
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of filters that hold few of the weights
    torch.set_num_threads(1)
    measure()
