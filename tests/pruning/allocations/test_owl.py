from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.allocations.owl import OWL, Owl, block_of
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import LayerShape
from secateur.pruning.layer_counts import kept_counts
from secateur.registry import ALLOCATIONS


def layer(name: str, weight: Tensor) -> LayerShape:
    return LayerShape(f"{name}.weight", tuple(weight.shape), module=name, weight=weight)


def ones_beside(large: Sequence[float], count: int) -> Tensor:
    return torch.tensor([[*large, *[1.0] * (count - len(large))]])


def norms_of_one(layers: Sequence[LayerShape]) -> Statistics:
    return Statistics(gathered={"input-norms": {one.name: torch.ones(one.shape) for one in layers}})


def densities(layers: Sequence[LayerShape], density: Fraction, owl: Owl = OWL) -> list[Fraction]:
    return [Fraction(one.proportion) for one in owl(layers, density, norms_of_one(layers))]


def test_densities_by_hand() -> None:
    """None, one and two of 40 stand out: 0, 1/40 and 2/40 of each, stretched to 0.16."""
    layers = [
        layer("a", ones_beside([], 40)),
        layer("b", ones_beside([100.0], 40)),
        layer("c", ones_beside([100.0, -100.0], 40)),
    ]
    assert densities(layers, Fraction(1, 2)) == [Fraction(one) for one in ("0.42", "0.5", "0.58")]
    assert densities(layers, Fraction(1, 2), Owl(spread=0.2)) == [
        Fraction(one) for one in ("0.3", "0.5", "0.7")
    ]
    # A large product is a small weight on a large input, too.
    norms = {"a.weight": torch.ones(1, 40), "b.weight": ones_beside([100.0], 40)}
    plain = [layer("a", torch.ones(1, 40)), layer("b", torch.ones(1, 40))]
    found = OWL(plain, Fraction(1, 2), Statistics(gathered={"input-norms": norms}))
    assert [one.proportion for one in found] == [Fraction("0.42"), Fraction("0.58")]


def test_what_is_as_large_as_the_limit_is_no_outlier() -> None:
    # The mean of 5, 1, 1, 1 is 2: at M = 2.5 the limit is 5 itself.
    layers = [layer("a", ones_beside([5.0], 4)), layer("b", torch.ones(1, 4))]
    assert densities(layers, Fraction(1, 2), Owl(outlier=2.5)) == [Fraction(1, 2)] * 2
    assert densities(layers, Fraction(1, 2), Owl(outlier=2.4)) == [
        Fraction("0.58"),
        Fraction("0.42"),
    ]


def test_layers_with_as_many_outliers_as_each_other_keep_the_same_share() -> None:
    layers = [layer("a", torch.ones(2, 3)), layer("b", torch.ones(4, 3))]
    assert densities(layers, Fraction(1, 3)) == [Fraction(1, 3)] * 2


def reference(blocks: Sequence[Sequence[np.ndarray]], density: float) -> list[float]:
    """The paper's code: outliers of each block's products, scaled and moved."""
    shares = []
    for block in blocks:
        products = np.concatenate([one.reshape(-1) for one in block])
        shares.append((products > 5 * products.mean()).mean())
    ratios = np.array(shares)
    scaled = (ratios - ratios.min()) / (ratios.max() - ratios.min()) * 0.08 * 2
    return [float(one) for one in scaled - scaled.mean() + density]


def test_the_formula_of_blocks_of_several_layers() -> None:
    draw = np.random.default_rng(3)
    layers, norms, blocks = [], {}, []
    for number in range(4):
        block = []
        for name, shape in (("attention.out", (8, 12)), ("mlp.0", (20, 8))):
            # Heavier and heavier tails.
            weight = draw.standard_t(2 + 3 * number, shape)
            norm = np.exp(draw.normal(size=shape[1]))
            one = layer(f"layers.{number}.{name}", torch.from_numpy(weight))
            layers.append(one)
            norms[one.name] = torch.from_numpy(norm).expand(shape)
            block.append(np.abs(weight) * norm)
        blocks.append(block)
    found = OWL(layers, Fraction(2, 5), Statistics(gathered={"input-norms": norms}))
    expected = reference(blocks, 0.4)
    assert len(set(expected)) == 4
    for number, each in enumerate(found):
        assert float(each.proportion) == pytest.approx(expected[number // 2], abs=1e-12)


def test_the_mean_density_is_that_of_the_weights() -> None:
    layers = [layer("a", ones_beside([100.0], 30)), layer("b", torch.ones(1, 90))]
    found = densities(layers, Fraction(3, 10))
    assert 30 * found[0] + 90 * found[1] == 36
    assert found[0] - found[1] == Fraction("0.16")


def test_no_density_is_below_that_of_a_weight() -> None:
    layers = [layer("a", ones_beside([100.0], 40)), layer("b", torch.ones(1, 40))]
    assert densities(layers, Fraction(1, 20)) == [Fraction("0.13"), Fraction(1, 40)]


BLOCKS = {
    "model.layers.3.self_attn.q_proj": "model.layers.3",
    "transformer.h.11.mlp.c_fc": "transformer.h.11",
    "encoder.layers.encoder_layer_2.mlp.0": "encoder.layers.encoder_layer_2",
    "1.layers.0.linear1": "1.layers.0",
    "layer1.0.downsample.0": "layer1.0",
    "features.3": "features.3",
    "fc1": "fc1",
    "": "",
}


@pytest.mark.parametrize("module", list(BLOCKS))
def test_blocks_by_name(module: str) -> None:
    assert block_of(LayerShape("weight", (1, 1), module=module)) == BLOCKS[module]


class Transformer(nn.Module):
    """Two encoder layers of torch's, whose attention hides what its projections read."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        one = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(one, 2)
        self.head = nn.Linear(8, 3)
        with torch.no_grad():
            self.encoder.layers[1].linear1.weight[0] *= 200

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.encoder(x).mean(1))
        return found


def prune(method: str = "magnitude", **more: Any) -> secateur.Masks:
    x = torch.linspace(-1, 1, 4 * 5 * 8).reshape(4, 5, 8).sin()
    settings: dict[str, Any] = {
        "sparsity": 0.5,
        "allocation": "owl",
        "data": [x],
        "loss": lambda net, batch: net(batch).square().mean(),
        **more,
    }
    return secateur.prune(Transformer().train(), method, **settings)


def test_a_transformer_loses_most_where_no_product_stands_out() -> None:
    masks = prune(only="encoder")
    assert masks.zeros * 2 == masks.total

    def share(prefix: str) -> float:
        kept = [mask for name, mask in masks.items() if name.startswith(prefix)]
        return sum(int(mask.sum()) for mask in kept) / sum(mask.numel() for mask in kept)

    first, second = share("encoder.layers.0."), share("encoder.layers.1.")
    assert second - first == pytest.approx(0.16, abs=0.01)
    # Those whose input is hidden keep what their block keeps.
    assert share("encoder.layers.1.self_attn.in_proj") == pytest.approx(second, abs=0.01)


def test_it_goes_with_any_scores_and_with_rankings_of_outputs() -> None:
    exclude = "MultiheadAttention"
    by_output = prune("wanda", exclude=exclude)
    assert by_output.zeros * 2 == by_output.total
    scores = {
        name: torch.ones(tuple(one.shape))
        for name, one in Transformer().named_parameters()
        if one.ndim == 2
    }
    assert prune(scores=scores, exclude=exclude).zeros == by_output.zeros


def test_without_data_it_is_refused() -> None:
    with pytest.raises(MaskError, match="without input-norms, which the allocation 'owl' needs"):
        prune(data=None, loss=None)
    with pytest.raises(MaskError, match="weight without input-norms"):
        kept_counts({"a": (3, 4)}, 0.5, "owl")
    known = Statistics(gathered={"input-norms": {"a": torch.ones(3, 4)}})
    with pytest.raises(MaskError, match="a is a shape alone"):
        OWL([LayerShape("a", (3, 4))], Fraction(1, 2), known)


def test_a_block_of_which_no_input_is_seen_is_named() -> None:
    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(self.attention(x, x, x)[0])
            return found

    with pytest.raises(MaskError, match=r"attention\.in_proj_weight .* without input-norms"):
        secateur.prune(
            Alone(),
            sparsity=0.5,
            allocation="owl",
            data=[torch.randn(2, 3, 8)],
            loss=lambda net, batch: net(batch).sum(),
        )


def test_one_with_other_numbers_is_a_row() -> None:
    ALLOCATIONS.add("wide-owl", Owl(outlier=3.0, spread=0.2))
    assert prune(allocation="wide-owl").zeros == prune().zeros
    assert prune(allocation="wide-owl") != prune()
