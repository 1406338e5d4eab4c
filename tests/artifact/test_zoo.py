"""Every topology of the zoo that can be cut comes back in a fresh process, bit by bit."""

from __future__ import annotations

import pytest
import zoo_convs  # noqa: F401
import zoo_joins  # noqa: F401
import zoo_sequences  # noqa: F401
from coming_back import Journey, travel
from zoo import ZOO, grow

UNCUT = {"multihead_module_weights"}


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    return travel("test_zoo", grow, ZOO.keys() - UNCUT, tmp_path_factory.mktemp("zoo"))


@pytest.mark.parametrize("name", sorted(ZOO.keys() - UNCUT))
def test_a_cut_net_comes_back_in_a_fresh_process(journey: Journey, name: str) -> None:
    assert journey.read[name] == journey.saved[name]


def test_the_fresh_process_builds_other_weights_than_those_saved() -> None:
    one, other = (grow("conv2d_chain", seed)[0].state_dict() for seed in (0, 1))
    assert all(not one[name].equal(other[name]) for name in one if name.endswith("weight"))
