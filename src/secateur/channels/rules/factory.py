"""Tensors made on the way: their axes belong to no one yet."""

from __future__ import annotations

from secateur.channels.call import Call
from secateur.channels.layout import Layout
from secateur.channels.rules.table import rule

STEADY = [
    "zeros",
    "ones",
    "full",
    "empty",
    "zeros_like",
    "ones_like",
    "full_like",
    "empty_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
    "arange",
    "linspace",
    "eye",
    "tensor",
    "as_tensor",
    "scalar_tensor",
    "tril_indices",
    "triu_indices",
]
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
]


@rule(*STEADY)
def made(call: Call) -> Layout:
    """A literal; a rehearsal of the cut finds out whether its sizes follow the cut."""
    return Layout(_free(call), constant=True)


@rule(*RANDOM)
def drawn(call: Call) -> Layout:
    """Random numbers: free, and not constant."""
    return Layout(_free(call))


def _free(call: Call):  # type: ignore[no-untyped-def]
    return tuple(call.tape.ties.fresh(n) if n > 1 else None for n in call.out.shape)
