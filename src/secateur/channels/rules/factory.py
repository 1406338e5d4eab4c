"""Tensors made on the way: their axes belong to no one yet."""

from __future__ import annotations

from secateur.channels.call import Call
from secateur.channels.layout import Layout
from secateur.channels.rules.table import rule

STEADY = [
    "zeros",
    "ones",
    "full",
    "zeros_like",
    "ones_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "arange",
    "linspace",
    "eye",
    "tensor",
    "as_tensor",
    "scalar_tensor",
    "tril_indices",
    "triu_indices",
]
# What lies in empty memory is nobody's constant, and kernels write there unseen.
EMPTY = ["empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"]
RANDOM = [
    "rand",
    "randn",
    "rand_like",
    "randn_like",
    "randint",
    "randint_like",
    "normal",
    "bernoulli",
    "randperm",
    "poisson",
    "multinomial",
    "uniform",
    "exponential",
    "geometric",
    "cauchy",
    "log_normal",
    "random",
]


@rule(*STEADY)
def made(call: Call) -> Layout:
    """A literal; a rehearsal of the cut finds out whether its sizes follow the cut."""
    return Layout(_free(call), constant=True)


@rule(*RANDOM, *EMPTY)
def drawn(call: Call) -> Layout:
    """Random numbers, or none yet: free, and not constant."""
    return Layout(_free(call))


def _free(call: Call):  # type: ignore[no-untyped-def]
    return tuple(call.tape.ties.fresh(n) if n > 1 else None for n in call.out.shape)
