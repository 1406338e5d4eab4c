"""Units: one trace serves every cut of a network, and its compaction."""

import pytest
import torch
from torch import nn

from secateur.channels import compact
from secateur.channels.trace import Trace
from secateur.pruning.select import cut
from secateur.registry import METHODS
from secateur.verbs import units

EXAMPLE = torch.zeros(1, 1, 6, 6)
PARTS = METHODS["l1-filter"].parts


def net_of() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 2)
    ).eval()


def test_shared_units_are_traced_once_and_are_those_of_a_trace_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traces: list[Trace] = []
    real = units.trace

    def noted(*given: object, **named: object) -> Trace:
        traces.append(real(*given, **named))
        return traces[-1]

    monkeypatch.setattr(units, "trace", noted)
    net = net_of()
    shared = units.SharedUnits(net, EXAMPLE)
    for share in (0.25, 0.5):
        masks = shared.sign(cut(net, PARTS, (share,), groups_of=shared.of))
        assert masks.traced is traces[0]
        own = cut(net, PARTS, (share,), groups_of=lambda part: units.groups_of(net, part, EXAMPLE))
        assert masks == own
        one, other = (compact(net, each, EXAMPLE).state_dict() for each in (masks, own))
        assert all(torch.equal(one[name], other[name]) for name in other)
    assert len(traces) == 3  # the shared one, and one for each cut of its own


def test_a_trace_with_another_way_left_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trace, "is_settled", False)
    shared = units.SharedUnits(net_of(), EXAMPLE)
    masks = shared.sign(cut(net_of(), PARTS, (0.5,), groups_of=shared.of))
    assert masks.traced is None
