"""ONNX Runtime: torch's numbers for every kind of node, whatever the batch."""

import pytest
import torch
from one_node import CASES, Case, add, called, given, linear

from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.graph import Node
from secateur.runtime.compiler.onnx import OnnxSegment

pytestmark = pytest.mark.skipif(not onnx.available(), reason="needs onnx and onnxruntime")


def segment(*nodes: Node, outputs: list[Node]) -> OnnxSegment:
    return OnnxSegment(nodes, outputs, threads=1, spins=False)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_node_is_torchs(case: Case, close) -> None:
    assert onnx.can_run([case.node])
    made = segment(case.node, outputs=[case.node])
    for batch in (1, 5):
        inputs = case.inputs(batch)
        close(made.run(inputs)[0], case.expected(inputs))


def test_what_only_torch_can_run_is_refused() -> None:
    first = linear(given(4), 3)
    assert onnx.can_run([])
    assert onnx.can_run([first])
    assert not onnx.can_run([first, called(torch.erf, first)])


def test_it_reads_what_it_does_not_make_and_writes_what_is_wanted(close) -> None:
    left, right = given(4), given(3)
    first = linear(left, 3)
    total = add(first, right)
    last = add(total, first)
    made = segment(first, total, last, outputs=[last, first])
    assert (made.reads, made.writes) == ((left, right), (last, first))
    x, y = torch.randn(2, 4), torch.randn(2, 3)
    given_last, given_first = made.run([x, y])
    expected = torch.nn.functional.linear(x.double(), first.matrix.double(), first.bias.double())
    close(given_first, expected)
    close(given_last, 2 * expected + y.double())


def test_inputs_that_are_not_contiguous() -> None:
    case = CASES["linear"]
    made = segment(case.node, outputs=[case.node])
    inputs = torch.randn(9, 4).t()
    assert torch.equal(made.run([inputs])[0], made.run([inputs.contiguous()])[0])


@pytest.mark.parametrize(("spins", "stops"), [(True, "0"), (False, "1")])
def test_threads_turn_after_a_pass_only_if_they_may(spins: bool, stops: str) -> None:
    node = linear(given(4), 3)
    options = OnnxSegment([node], [node], threads=2, spins=spins)._session.get_session_options()
    assert options.get_session_config_entry("session.force_spinning_stop") == stops
    assert options.intra_op_num_threads == 2


def test_it_is_not_there_unless_both_packages_are(monkeypatch) -> None:
    for missing in ("onnx", "onnxruntime"):
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda name, missing=missing: name != missing
        )
        assert not onnx.available()
