"""The product with a masked weight, and its gradients, as one function of autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from secateur.runtime.kernels import kernels
from secateur.runtime.layers.batchlast import batch_last, lay_out, padded_batch
from secateur.runtime.layers.masked_weight import FrozenWeight


class FrozenProduct(torch.autograd.Function):
    """`x` through a layer whose weight is frozen at zero where its mask says.

    Forward, gradient of the input and gradient of the weight all go over the kept elements alone.
    The output and the gradient of the input are batch-last.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, frozen: FrozenWeight
    ) -> Tensor:
        """From `[batch, in, height, width]` or `[batch, in]` to the same with `out`."""
        batch = padded_batch(len(x), kernels.lanes())
        values = frozen.values(weight)
        spread = frozen.window.spread(x, batch)
        nonzeros = frozen.forward
        output = batch_last((batch, nonzeros.planes, nonzeros.height, nonzeros.width)[: x.dim()])
        nonzeros.product(
            values.data_ptr(),
            None if bias is None else bias.data_ptr(),
            _floats(spread),
            _floats(output),
            batch=batch,
            threads=torch.get_num_threads(),
        )
        ctx.frozen, ctx.images = frozen, len(x)
        ctx.save_for_backward(spread, values)
        # A view would be refused by an activation that works in place.
        return output if len(x) == batch else output[: len(x)].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of `x`, of the dense weight (zero where nothing is kept), of the bias."""
        spread, values = ctx.saved_tensors
        of_input, of_weight, of_bias = ctx.needs_input_grad[:3]
        rows = lay_out(outer, spread.shape[-1])
        return (
            _input_gradient(ctx.frozen, values, rows, ctx.images) if of_input else None,
            _weight_gradient(ctx.frozen, spread, rows) if of_weight else None,
            rows.flatten(1).sum(dim=1) if of_bias else None,
            None,
        )


def _input_gradient(frozen: FrozenWeight, values: Tensor, outer: Tensor, images: int) -> Tensor:
    batch, nonzeros, window = outer.shape[-1], frozen.backward, frozen.window
    framed = window.frame(outer)
    sizes = (nonzeros.height, nonzeros.width) if outer.dim() == 4 else ()
    gradient = torch.empty(nonzeros.planes, *sizes, batch)
    turned = frozen.transposed(values)
    nonzeros.product(
        turned.data_ptr(),
        None,
        _floats(framed),
        _floats(gradient),
        batch=batch,
        threads=torch.get_num_threads(),
    )
    if not window.direct:
        return window.gather(gradient, images)
    return gradient.movedim(-1, 0)[:images]


def _weight_gradient(frozen: FrozenWeight, spread: Tensor, outer: Tensor) -> Tensor:
    nonzeros = frozen.forward
    gradient = torch.empty(len(nonzeros.indices))
    nonzeros.gradient(
        _floats(spread),
        _floats(outer),
        gradient.data_ptr(),
        batch=outer.shape[-1],
        threads=torch.get_num_threads(),
    )
    return frozen.dense(gradient)


def _floats(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel()
