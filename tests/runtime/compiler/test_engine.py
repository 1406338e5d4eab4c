"""Engines: what a user gives, and gets back."""

import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from secateur.errors import ModelError
from secateur.runtime.compiler.engine import fingerprint


def test_any_batch(engine, net, exact, close) -> None:
    assert list(engine.choices) == [1, 9]
    for batch in (1, 2, 3, 9, 40):
        inputs = torch.randn(batch, 2, 5, 5)
        given = engine(inputs)
        close(given, exact(net, inputs))
        assert not given.requires_grad
        assert not given.is_inference()


def test_the_nearest_size_is_chosen(engine) -> None:
    assert [engine.choice(n).batch for n in (1, 2, 4, 9, 500)] == [1, 1, 9, 9, 9]


def test_an_empty_batch_is_empty(engine) -> None:
    assert engine(torch.zeros(0, 2, 5, 5)).shape == (0, 3)
    assert engine(np.zeros((0, 2, 5, 5), np.float32)).shape == (0, 3)


def test_arrays_give_arrays(engine) -> None:
    inputs = np.random.default_rng(0).random((4, 2, 5, 5), dtype=np.float32)
    given = engine(inputs)
    assert isinstance(given, np.ndarray)
    assert given.dtype == np.float32
    assert np.array_equal(given, engine(torch.from_numpy(inputs)).numpy())


def test_arrays_of_every_order(engine) -> None:
    inputs = np.random.default_rng(0).random((4, 5, 5, 2), dtype=np.float32)
    expected = engine(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)))
    assert np.array_equal(engine(inputs.transpose(0, 3, 1, 2)), expected)
    flipped = engine(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)[::-1]))
    assert np.array_equal(engine(inputs.transpose(0, 3, 1, 2)[::-1]), flipped)
    frozen = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
    frozen.flags.writeable = False
    assert np.array_equal(engine(frozen), expected)


def test_tensors_of_every_order(engine) -> None:
    inputs = torch.randn(4, 2, 5, 5)
    expected = engine(inputs)
    assert torch.equal(engine(inputs.contiguous(memory_format=torch.channels_last)), expected)
    assert torch.equal(engine(inputs.expand(2, 4, 2, 5, 5)[1].clone().requires_grad_()), expected)


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        (torch.zeros(2, 5, 5), "2x5x5"),
        (torch.zeros(1, 2, 5, 6), "1x2x5x6"),
        (torch.zeros(1, 1, 2, 5, 5), "1x1x2x5x5"),
        (torch.zeros(()), r"\(\)"),
        (torch.zeros(1, 2, 5, 5).double(), "float64"),
        (torch.zeros(1, 2, 5, 5).half(), "float16"),
        (torch.zeros(1, 2, 5, 5, dtype=torch.int64), "int64"),
        (torch.zeros(1, 2, 5, 5, device="meta"), "meta"),
        (torch.zeros(1, 2, 5, 5).to_sparse(), "sparse"),
        (np.zeros((1, 2, 5, 5)), "float64"),
        (np.zeros((1, 2, 5, 5), dtype=">f4"), ">f4"),
        (np.zeros((1, 2, 5, 5), dtype=object), "object"),
        ([[0.0]], "list"),
        (None, "NoneType"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_bad_inputs(engine, inputs, word) -> None:
    with pytest.raises(ModelError, match=f"the input is .*{word}"):
        engine(inputs)


def test_not_a_number_and_infinity_go_through(engine, net) -> None:
    inputs = torch.randn(3, 2, 5, 5)
    inputs[1] = float("nan")
    inputs[2] = float("inf")
    given = engine(inputs)
    assert torch.allclose(given[0], net(inputs)[0], atol=1e-5)
    assert given[1].isnan().any()
    assert not given[2].isfinite().all()


def test_a_change_after_packing_is_noticed_if_asked(engine, net, small, exact, close) -> None:
    other = small()
    other.load_state_dict(net.state_dict())
    assert not engine.is_stale(other)
    with torch.no_grad():
        other[4].bias[0] += 1
    assert engine.is_stale(other)
    inputs = torch.randn(2, 2, 5, 5)
    close(engine(inputs), exact(net, inputs))


def test_many_threads(engine, net, exact, close) -> None:
    inputs = [torch.randn(n, 2, 5, 5) for n in (1, 1, 9, 30)]
    found: dict[int, Tensor] = {}

    def go(number: int) -> None:
        for _ in range(20):
            found[number] = engine(inputs[number])

    workers = [threading.Thread(target=go, args=(number,)) for number in range(len(inputs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, given in found.items():
        close(given, exact(net, inputs[number]))
    assert len(found) == len(inputs)


def test_memory_that_was_given_back_is_taken_anew(engine) -> None:
    inputs = torch.randn(3, 2, 5, 5)
    expected = engine(inputs)
    engine.release()
    assert torch.equal(engine(inputs), expected)


def test_few_sizes_are_remembered_and_all_are_run(engine, net, exact, close, monkeypatch) -> None:
    monkeypatch.setattr("secateur.runtime.compiler.engine._KEPT_SIZES", 2)
    engine._plans.clear()
    for batch in (1, 2, 3, 4, 1, 4):
        inputs = torch.randn(batch, 2, 5, 5)
        close(engine(inputs), exact(net, inputs))
    assert [size[0] for size in engine._plans] == [1, 2]


def test_an_engine_is_written_with_what_runs_it(engine) -> None:
    one, nine = (choice.backend for choice in engine.choices.values())
    assert repr(engine) == f"<Engine for 2x5x5, by batch 1: {one}, 9: {nine}>"
    assert str(engine) == engine.report()


def holding(**state: Tensor) -> nn.Module:
    """A module with these buffers."""
    net = nn.Module()
    for name, value in state.items():
        net.register_buffer(name, value)
    return net


def test_a_fingerprint_is_of_names_types_shapes_and_values() -> None:
    zeros = torch.zeros(2, 3)
    same = fingerprint(holding(a=zeros, b=torch.ones(1)))
    assert same == fingerprint(holding(b=torch.ones(1), a=zeros.clone()))
    assert same == fingerprint(holding(b=torch.ones(1), a=torch.zeros(3, 2).t()))
    others = [
        holding(a=zeros),
        holding(a=zeros, c=torch.ones(1)),
        holding(a=zeros.int(), b=torch.ones(1)),
        holding(a=zeros.t(), b=torch.ones(1)),
        holding(a=zeros, b=torch.full((1,), 1.0000001)),
        holding(a=-zeros, b=torch.ones(1)),
    ]
    prints = {fingerprint(net) for net in others}
    assert len(prints) == len(others)
    assert same not in prints
