"""Targets: on every reference net the smallest cut that costs no more than was asked."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import secateur
import secateur.measure.latency
from secateur import models
from secateur.errors import ChannelError, MaskError
from secateur.foundation.target import parse_target
from secateur.pruning.select import cut
from secateur.registry import METHODS, MODELS
from secateur.verbs import target
from secateur.verbs.units import groups_of

EXAMPLE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
SMALL = ("lenet-5", "lenet-300-100")  # the others, and transformers: benchmarks/targets.py


def net_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    return models.build(name, (3, 32, 32), 10).eval()


def costs(net: nn.Module, masks: secateur.Masks) -> Any:
    return secateur.cost(secateur.compact(net, masks, EXAMPLE), EXAMPLE[:1])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("cost", ["macs", "parameters"])
@pytest.mark.parametrize("method", ["magnitude", "l1-filter"])
def test_counts_end_within_a_hundredth_or_a_unit(name: str, cost: str, method: str) -> None:
    assert name in MODELS
    net = net_of(name)
    scope = "all" if method == "l1-filter" else None
    dense = getattr(secateur.cost(net, EXAMPLE[:1]), cost)
    masks = secateur.prune(net, method, target={cost: 0.5}, example_inputs=EXAMPLE, scope=scope)
    found = costs(net, masks)
    weights = method == "magnitude"
    reached = {
        "macs": found.nonzero_macs if weights else found.macs,
        "parameters": found.nonzero if weights else found.parameters,
    }[cost]
    assert masks.reached is not None
    assert (masks.reached.cost, masks.reached.dense) == (reached, dense)
    assert reached <= dense / 2
    if reached < 0.99 * dense / 2:  # then one unit less is one too many
        again = net_of(name)
        less = masks.reached.sparsity - 1 / masks.total
        fewer = secateur.prune(again, method, sparsity=less, example_inputs=EXAMPLE, scope=scope)
        more = costs(again, fewer)
        assert (more.nonzero_macs if weights else more.macs) > dense / 2 or cost == "parameters"


@pytest.mark.parametrize("method", ["magnitude", "l1-filter"])
def test_bytes_are_never_above(method: str, tmp_path: Path) -> None:
    net = net_of("lenet-5")
    masks = secateur.prune(net, method, target="bytes=900k", example_inputs=EXAMPLE)
    from secateur.channels import compact_with_record

    record = compact_with_record(net, masks, EXAMPLE)
    path = tmp_path / "net.safetensors"
    secateur.save(record.model, path, masks, dense=net, kept=record.kept, example_inputs=EXAMPLE)
    assert masks.reached is not None
    assert path.stat().st_size == masks.reached.cost
    assert 800_000 < masks.reached.cost <= 900_000


def test_a_latency_has_its_band() -> None:
    net = net_of("lenet-5")
    dense = 1e3 * secateur.measure.latency.latency(net, EXAMPLE, batch=8).median
    masks = secateur.prune(
        net, "l1-filter", target={"latency_ms": 0.9 * dense, "batch": 8}, example_inputs=EXAMPLE
    )
    found = masks.reached
    assert found is not None
    assert found.q1 <= found.cost <= found.q3
    assert found.cost <= found.limit


def test_what_costs_no_more_already_stays_whole() -> None:
    net = net_of("lenet-5")
    masks = secateur.prune(net, "magnitude", target={"bytes": 10**8}, example_inputs=EXAMPLE)
    assert masks.reached is not None
    assert (masks.zeros, masks.reached.sparsity) == (0, 0.0)


def test_out_of_reach_names_the_range_and_leaves_the_net() -> None:
    net = net_of("lenet-5")
    before = [parameter.clone() for parameter in net.parameters()]
    with pytest.raises(MaskError, match=r"out of reach: from \d+ at a sparsity of 0.999 to \d+"):
        secateur.prune(net, "l1-filter", target={"macs": 10}, example_inputs=EXAMPLE)
    for one, other in zip(before, net.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "not given"),
        ({"sparsity": 0.5, "target": {"macs": 0.5}}, "given beside a target"),
        ({"target": {"mac": 0.5}}, "one of macs, parameters, bytes, latency_ms"),
        ({"target": {"macs": 0.5}}, "without example inputs"),
    ],
)
def test_what_is_no_request_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(MaskError, match=words):
        secateur.prune(net_of("lenet-5"), "magnitude", **options)


def l1(net: nn.Module, share: float) -> secateur.Masks:
    """The masks of `l1-filter` at a sparsity; the net is left as it is."""
    parts = METHODS["l1-filter"].parts
    return cut(net, parts, (share,), groups_of=lambda part: groups_of(net, part, EXAMPLE))


def test_a_cut_that_was_counted_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[secateur.Masks, bool]] = []
    real = target.compact_with_record

    def noted(net: nn.Module, masks: secateur.Masks, *given: Any, verify: bool = True) -> Any:
        made.append((masks, verify))
        return real(net, masks, *given, verify=verify)

    monkeypatch.setattr(target, "compact_with_record", noted)
    net = net_of("lenet-5")
    reached = target.reach(net, parse_target({"macs": 0.5}), l1, EXAMPLE, structured=True)
    assert reached.cost <= reached.limit
    quick = [masks for masks, verify in made if not verify]
    assert not any(one == other for one, other in combinations(quick, 2))
    # The net that is handed out is compared with the masked one.
    assert [verify for _, verify in made].count(True) == 1
    assert made[-1][0] == l1(net, reached.sparsity)


def test_what_a_comparison_holds_back_is_searched_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    real = target.compact_with_record

    def held_back(net: nn.Module, masks: secateur.Masks, *given: Any, verify: bool = True) -> Any:
        if verify:
            raise ChannelError("c", "s", given="g", expected="e", remedy="r")
        return real(net, masks, *given, verify=verify)

    monkeypatch.setattr(target, "compact_with_record", held_back)
    with pytest.raises(MaskError, match="out of reach"):
        target.reach(net_of("lenet-5"), parse_target({"macs": 0.5}), l1, EXAMPLE, structured=True)
