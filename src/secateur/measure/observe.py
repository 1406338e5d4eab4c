"""Running a model only to watch it: nothing of it is different afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from secateur.errors import ModelError, SecateurError
from secateur.foundation.own_error import words_of
from secateur.foundation.run_example import Inputs, as_it_was, batch_size, described
from secateur.pruning.sharded import check_whole


def check_batch(operation: str, example: Inputs) -> None:
    """Refuse an example that holds no input at all.

    Args:
        operation: What the example is for, for the message.
        example: Should be a batch of inputs `[N, ...]`, N >= 1, or several in a tuple or a dict.

    Raises:
        ModelError: It has no axis for the batch, or the batch is empty.

    Example:
        >>> check_batch("looking", torch.zeros(0, 3))
        Traceback (most recent call last):
        ...
        secateur.errors.ModelError: looking: the example is of shape 0x3, \
expected a batch of one input or more. Pass a tensor whose first axis is the batch.
    """
    if batch_size(example) == 0:
        raise ModelError(
            operation,
            "the example",
            given=f"of shape {described(example)}",
            expected="a batch of one input or more",
            remedy="Pass a tensor whose first axis is the batch.",
        )


def check_built(operation: str, model: nn.Module) -> None:
    """Refuse what is no network, or one whose parameters have no values yet.

    Args:
        operation: What is to be done with it, for the message.
        model: Should be a network.

    Raises:
        ModelError: It is none, or has a parameter or buffer that is not built, or on `meta`.
        MaskError: A parameter is sharded over several processes.

    Example:
        >>> check_built("looking", nn.LazyLinear(2))
        Traceback (most recent call last):
        ...
        secateur.errors.ModelError: looking: weight is not built yet (a lazy layer), \
expected a network with values. Run it once on an example.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            operation,
            "the network",
            given=f"a {type(model).__name__}",
            expected="a torch.nn.Module",
            remedy="Pass the network itself.",
        )
    check_whole(model, operation)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        lazy = bool(is_lazy(tensor))
        if lazy or tensor.is_meta:
            raise ModelError(
                operation,
                name,
                given="not built yet (a lazy layer)" if lazy else "on the meta device",
                expected="a network with values",
                remedy="Run it once on an example." if lazy else "Load its weights first.",
            )


@contextmanager
def observed(model: nn.Module, operation: str, example: Inputs) -> Iterator[None]:
    """Run a model in evaluation mode, without gradients, and put everything back afterwards.

    The training flag of every module, every buffer and attribute (the objects and their values)
    and the random states are what they were, whatever the model did and even if it failed.

    Args:
        model: Any network.
        operation: What is observed, for the message if the model fails.
        example: What the model is run on, for the same message.

    Raises:
        ModelError: Something failed inside the block; the error's `__cause__` says what.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> with observed(net, "looking", torch.zeros(1, 3)):
        ...     net(torch.zeros(1, 3))
        Traceback (most recent call last):
        ...
        secateur.errors.ModelError: looking: the network on an input of 1x3 is failing \
(RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 2x1)), expected an output. \
Pass an example of the shape that the network was built for.
        >>> net.training
        True
    """
    try:
        with as_it_was(model), torch.no_grad():
            model.eval()
            yield
    except SecateurError:
        raise
    except Exception as error:
        raise ModelError(
            operation,
            f"the network on an input of {described(example)}",
            given=f"failing ({words_of(error, 500)})",
            expected="an output",
            remedy="Pass an example of the shape that the network was built for.",
        ) from error
