from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import torch

from secateur.channels.output_comparison import outputs_of

ONE, OTHER = torch.zeros(2), torch.ones(3)


@pytest.mark.parametrize(
    "result",
    [
        (ONE, [OTHER]),
        {"one": ONE, "other": (OTHER,)},
        OrderedDict(one=ONE, other=OTHER),
        MappingProxyType({"one": ONE, "other": OTHER}),
        SimpleNamespace(keys=ONE, values=OTHER),  # a layer of a cache of `transformers`
        SimpleNamespace(layers=[SimpleNamespace(keys=ONE), SimpleNamespace(values=OTHER)]),
        SimpleNamespace(items=ONE, values=[OTHER], name="cache"),
    ],
)
def test_tensors_are_found_whatever_they_are_nested_in(result: Any) -> None:
    assert [one.tolist() for one in outputs_of(result)] == [[0.0, 0.0], [1.0, 1.0, 1.0]]
