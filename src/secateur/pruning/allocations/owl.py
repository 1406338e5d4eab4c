"""OWL: layers with more outliers keep more of their weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from torch import Tensor

from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import Density, LayerShape
from secateur.pruning.normalize import total_of

_NEED = "input-norms"


@dataclass(frozen=True)
class Owl:
    """Outlier-weighed densities: the more a block's products of weight and input stand out.

    Of each block, the share `D` of its `A_ij = |W_ij| ||X_j||_2` that are larger than `M` times
    their mean (Yin et al. 2023, "Outlier weighed layerwise sparsity", arXiv 2310.05175, section 3.2
    and its code). The `D` are stretched to the width `2 lambda` and moved so that their mean is the
    density that is asked for: `density + 2 lambda ((D - min D) / (max D - min D) - mean)`. Blocks
    with as many outliers as each other keep the same share. The mean is that of the weights, so
    that the total is right for blocks of any sizes (the paper's are all alike). At a level so high
    that a density would be below that of one weight it is that of one, and what is missing comes
    from the others in proportion.

    A block is what the paper calls a layer, a whole transformer block. It is known by its name: the
    module's, up to the last part that ends in a digit and is not the last of all, so that
    `encoder.layers.3.mlp.fc1` and `encoder.layers.3.attention.query` are of `encoder.layers.3`. A
    layer whose name has no such part is a block by itself. Layers whose input no pass shows
    (attention's own projections in torch) keep what their block keeps.

    Attributes:
        outlier: `M`, how many times the mean.
        spread: `lambda`, half the difference between the densest and the sparsest block.

    Example:
        >>> import torch
        >>> weights = [torch.ones(1, 16), torch.tensor([[100.0] + [1.0] * 15])]
        >>> layers = [
        ...     LayerShape(name, (1, 16), module=name, weight=weight)
        ...     for name, weight in zip("ab", weights)
        ... ]
        >>> known = Statistics(gathered={"input-norms": {one: torch.ones(1, 16) for one in "ab"}})
        >>> [float(one.proportion) for one in OWL(layers, Fraction(1, 2), known)]
        [0.42, 0.58]
    """

    outlier: float = 5.0
    spread: float = 0.08

    needs: ClassVar[tuple[str, ...]] = (_NEED,)

    def __call__(
        self, layers: Sequence[LayerShape], density: Fraction, statistics: Statistics
    ) -> list[Density]:
        """One density a layer.

        Args:
            layers: Those of the cut.
            density: The share of their weights that stays.
            statistics: Their `input-norms`.

        Raises:
            MaskError: The inputs of no layer of a block were seen.
        """
        shares = self._shares(layers, statistics)
        sizes = [math.prod(layer.shape) for layer in layers]
        found = [shares[block_of(layer)] for layer in layers]
        least, width = min(found, default=Fraction(0)), Fraction(0)
        if found and max(found) > least:
            width = 2 * Fraction(str(self.spread)) / (max(found) - least)
        over = [width * (share - least) for share in found]
        pairs = list(zip(over, sizes, strict=True))
        mean = sum((one * size for one, size in pairs), Fraction(0)) / max(1, sum(sizes))
        return [Density(max(density + one - mean, Fraction(1, size))) for one, size in pairs]

    def _shares(
        self, layers: Sequence[LayerShape], statistics: Statistics
    ) -> Mapping[str, Fraction]:
        """Block -> the share of its products that are outliers."""
        blocks: dict[str, list[LayerShape]] = {}
        for layer in layers:
            blocks.setdefault(block_of(layer), []).append(layer)
        return {name: self._share(block, statistics) for name, block in blocks.items()}

    def _share(self, block: Sequence[LayerShape], statistics: Statistics) -> Fraction:
        known = statistics.gathered.get(_NEED, {})
        seen = [layer for layer in block if layer.name in known] or block[:1]
        products = [_products(layer, statistics) for layer in seen]
        count = sum(one.numel() for one in products)
        limit = self.outlier * sum(float(total_of(one)) for one in products) / count
        return Fraction(sum(int((one > limit).count_nonzero()) for one in products), count)


def block_of(layer: LayerShape) -> str:
    """The name of the block that a layer is in.

    Example:
        >>> names = ("h.11.attn.qkv", "encoder_layer_2.mlp.0", "features.3", "head")
        >>> [block_of(LayerShape("w", (1, 1), module=name)) for name in names]
        ['h.11', 'encoder_layer_2', 'features.3', 'head']
    """
    parts = layer.module.split(".")
    numbered = [place for place, part in enumerate(parts[:-1]) if re.search(r"\d$", part)]
    return ".".join(parts[: numbered[-1] + 1]) if numbered else layer.module


def _products(layer: LayerShape, statistics: Statistics) -> Tensor:
    """`|W_ij| ||X_j||`, float64 of one axis, on the CPU."""
    norms = statistics.of(_NEED, layer.name).cpu().double()
    return (layer.values.cpu().double().abs() * norms).reshape(-1)


OWL = Owl()
