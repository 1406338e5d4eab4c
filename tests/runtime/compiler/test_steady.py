"""Steady: several threads while they are the faster ones, one while they are held up."""

import torch
from torch import Tensor

from secateur.runtime.compiler.steady import Steady


class Machine:
    """A clock that goes on by what a pass on several threads takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pass_takes = 0.5
        self.ran: list[str] = []

    def shared(self, x: Tensor) -> Tensor:
        self.now += self.pass_takes
        self.ran.append("shared")
        return x

    def alone(self, x: Tensor) -> Tensor:
        self.ran.append("alone")
        return x


def steady(machine: Machine) -> Steady:
    return Steady(machine.shared, machine.alone, limit=1.0, count=2, clock=lambda: machine.now)


def test_while_it_is_in_time_it_is_shared() -> None:
    machine = Machine()
    run = steady(machine)
    for _ in range(10):
        run(torch.zeros(2))
    assert set(machine.ran) == {"shared"}


def test_what_is_late_again_and_again_runs_on_one_thread_for_a_while_then_longer() -> None:
    machine = Machine()
    machine.pass_takes = 1.5
    run = steady(machine)
    for _ in range(3 + 32 + 3 + 64 + 1):
        run(torch.zeros(2))
    assert machine.ran == ["shared"] * 3 + ["alone"] * 32 + ["shared"] * 3 + ["alone"] * 64 + [
        "shared"
    ]


def test_one_late_pass_is_forgiven_and_a_larger_batch_may_take_longer() -> None:
    machine = Machine()
    run = steady(machine)
    for place in range(20):
        machine.pass_takes = 1.5 if place % 3 else 0.5
        run(torch.zeros(2))
    machine.pass_takes = 3.5
    for _ in range(5):
        run(torch.zeros(8))
    assert "alone" not in machine.ran


def test_both_give_their_memory_back() -> None:
    class Plan:
        released = False

        def __call__(self, x: Tensor) -> Tensor:
            return x

        def release(self) -> None:
            self.released = True

    one, other = Plan(), Plan()
    Steady(one, other, limit=1.0, count=1).release()
    assert one.released
    assert other.released
    Steady(lambda x: x, lambda x: x, limit=1.0, count=1).release()
