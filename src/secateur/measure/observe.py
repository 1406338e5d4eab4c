"""Running a model only to watch it: nothing of it is different afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from secateur.errors import ModelError


def check_batch(operation: str, example: Tensor) -> None:
    """Refuse an example that holds no input at all.

    Args:
        operation: What the example is for, for the message.
        example: Should be a batch of inputs `[N, ...]`, N >= 1.

    Raises:
        ModelError: It has no axis for the batch, or the batch is empty.

    Example:
        >>> check_batch("looking", torch.zeros(0, 3))
        Traceback (most recent call last):
        ...
        secateur.errors.ModelError: looking: the example is of shape (0, 3), \
expected a batch of one input or more. Pass a tensor whose first axis is the batch.
    """
    if example.dim() == 0 or len(example) == 0:
        raise ModelError(
            operation,
            "the example",
            given=f"of shape {tuple(example.shape)}",
            expected="a batch of one input or more",
            remedy="Pass a tensor whose first axis is the batch.",
        )


@contextmanager
def observed(model: nn.Module, operation: str, example: Tensor) -> Iterator[None]:
    """Run a model in evaluation mode, without gradients, and put everything back afterwards.

    The training flag of every module, every buffer (the object and its values) and the random
    state of the CPU are what they were, whatever the model did and even if it failed.

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
    modules = list(model.modules())
    training = [module.training for module in modules]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in modules
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()
            yield
    except Exception as error:
        raise ModelError(
            operation,
            f"the network on an input of {'x'.join(map(str, example.shape))}",
            given=f"failing ({type(error).__name__}: {' '.join(str(error).split())})",
            expected="an output",
            remedy="Pass an example of the shape that the network was built for.",
        ) from error
    finally:
        for module, flag in zip(modules, training, strict=True):
            module.training = flag
        with torch.no_grad():
            for owner, name, buffer, values in buffers:
                setattr(owner, name, buffer)
                buffer.copy_(values)
