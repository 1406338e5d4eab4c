"""Families of `transformers`: cut, equal, and the widths of their MLPs among what is cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cutting import assert_same, random_masks
from families import FAMILIES
from torch import Tensor

import secateur
from secateur.channels import compact_with_record, trace
from secateur.errors import ChannelError

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

REFUSED = {
    "convnext_v2": r"mean \(averages channels\) in encoder.stages.1.layers.0.grn",
    "bit": "conv2d",
}
MLPS = ("fc1", "c_fc", "gate_proj", "wi", "lin1", "dense", "dense1", "dense_h_to_4h", "pwconv1")
CONVOLUTIONAL = {
    *("resnet", "regnet", "efficientnet", "mobilenet_v1", "mobilenet_v2", "poolformer", "levit"),
}


def doubled(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_family_is_cut_exactly_or_refused(name: str) -> None:
    model, inputs = FAMILIES[name]()
    model, inputs = model.double().eval(), doubled(inputs)
    if name in REFUSED:
        with pytest.raises(ChannelError, match=REFUSED[name]):
            trace(model, inputs).groups("all")
        return
    groups = trace(model, inputs).groups("all")
    masks, _ = random_masks(model, groups, 0.4, 0)
    record = compact_with_record(model, masks, inputs)
    assert_same(model, masks, record, inputs)
    full, small = (sum(p.numel() for p in net.parameters()) for net in (model, record.model))
    assert small < full
    if name not in CONVOLUTIONAL:
        assert any(layer.rpartition(".")[2] in MLPS for layer in groups.layers)


TINY = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
PADDED = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["Bert", "Roberta", "Llama"])
def test_the_whole_output_of_a_tokenizer_is_an_example(name: str, attention: str) -> None:
    """Llama gives its cache, too, which keeps tensors under the names `keys` and `values`."""
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**TINY, attn_implementation=attention)
    net = getattr(transformers, f"{name}Model")(config).eval()
    ids = torch.arange(14).reshape(2, 7) + 3
    example = transformers.BatchEncoding({"input_ids": ids, "attention_mask": PADDED})
    masks = secateur.prune(net, "l1-filter", sparsity=0.3, scope="all", example_inputs=example)
    small = secateur.compact(net, masks, example)
    full, less = (sum(p.numel() for p in one.parameters()) for one in (net, small))
    assert less < full
    other = {"input_ids": ids.flip(1), "attention_mask": PADDED.flip(0)}
    torch.testing.assert_close(net(**other)[0], small(**other)[0])


def test_there_are_enough_families() -> None:
    assert len(FAMILIES) - len(REFUSED) >= 25
