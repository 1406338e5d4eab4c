"""Least squares: the weights that are kept, such that a layer gives what it gave before the cut.

With X the inputs of a layer in the cut network (a row for each example and place), Y what the layer
gave before the cut, and W its weights, the change D of the kept weights minimises

    |Y - X (W + D)^T|^2 + ridge |D|^2

(He, Zhang and Sun 2017, arXiv 1707.06168, equation 1 for chosen channels; Luo, Wu and Lin 2017,
ThiNet, arXiv 1707.06342, equation 7). Inputs and outputs are centred where the layer has a bias,
which then takes the difference of the means. Rows of W that keep the same weights are solved
together: of whole channels that is one system of equations, of single weights one for each row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from secateur.pruning.layer_rows import input_rows, output_rows, places_of
from secateur.pruning.layerwise import (
    LayerParameters,
    mend_layers,
    mendable,
    parameters_of_layers,
)
from secateur.pruning.mended import Mended
from secateur.pruning.repair import Calibration, Repair
from secateur.pruning.repairs.equations import Sums

ENOUGH = 20
"""Rows for each unknown of an output, after which a layer needs no more."""
AFFORDABLE = 1e10
"""Multiplications for the equations of one layer, which are solved several times: seconds."""
LARGEST = 6000
"""Unknowns of one output: their matrix is of so many rows and columns."""


def reconstruct(calibration: Calibration) -> Mended:
    """Fit the kept weights of each convolution and linear layer to what it gave before the cut.

    Args:
        calibration: The networks and the batches.

    Returns:
        What was done. Left alone are transposed convolutions, layers whose weight is computed or
        shared, and those whose equations are too many or too large.
    """
    layers, left = mendable(calibration, norms=False)
    parameters = parameters_of_layers(calibration, layers)
    for name, module in list(layers.items()):
        reason = _refusal(module, parameters[name])
        if reason:
            left = (*left, (name, reason))
            del layers[name]
    weights = {name: own.weight for name, own in parameters.items() if own.weight is not None}
    fits = {name: _Fit(module, parameters[name], weights[name]) for name, module in layers.items()}
    return mend_layers(calibration, "least-squares", layers, _Reconstruction(fits), left)


def _refusal(module: nn.Module, own: LayerParameters) -> str:
    if isinstance(module, _ConvTransposeNd):
        return "it is a transposed convolution"
    if own.weight is None:
        return "its weight is not its own"
    unknowns = own.weight[0].numel()
    if unknowns > LARGEST:
        return f"{unknowns} unknowns of an output are too many"
    if own.kept is not None and _work(own.kept) > AFFORDABLE:
        return "its rows keep different weights, and a system of equations for each is too much"
    return ""


def _work(kept: Tensor) -> float:
    """Multiplications of all factorisations: one for each set of weights that a row keeps."""
    patterns: Tensor = kept.flatten(1).unique(dim=0)  # type: ignore[no-untyped-call]
    sizes = patterns.sum(1).double()
    return float((sizes**3).sum()) / 3


class _Fit:
    """The equations of one layer, gathered batch by batch, and their solution."""

    def __init__(self, module: nn.Module, own: LayerParameters, weight: nn.Parameter) -> None:
        self._module, self._own, self._weight = module, own, weight
        self._groups = int(getattr(module, "groups", 1))
        self._sums: Sums | None = None
        self._before: tuple[Tensor, Tensor | None] = (weight, own.bias)
        self._batches, self._next = 0, 1
        self.is_over = False

    @property
    def is_changed(self) -> bool:
        """Whether it had anything to mend."""
        return self._sums is not None

    def learn(self, inputs: Tensor, output: Tensor, places: Tensor, wanted: Tensor) -> None:
        """Add the rows of a batch to the equations; solve them as often as they have doubled."""
        x = _wide(input_rows(self._module, inputs, output, places))
        missing = _wide(wanted) - _wide(output_rows(self._module, output, places))
        missing = missing * self._is_open(missing)
        if self._sums is None:
            if not missing.any():  # nothing before this layer was cut, nor is it
                return
            self._sums = Sums.zeros(x, missing)
            bias = None if self._own.bias is None else _wide(self._own.bias).clone()
            self._before = _wide(self._weight).clone(), bias
        # By how much the weights from before the mending are off, not the present ones.
        self._sums.add(x, missing + self._added(x))
        self._batches += 1
        self.is_over = self._sums.rows >= ENOUGH * x.shape[2]
        if self.is_over or self._batches >= self._next:
            self.solve()
            self._next = 2 * self._batches

    def solve(self) -> None:
        """Write the weights that the equations give."""
        if self._sums is None:
            return
        weight, bias = self._before
        equations = self._sums.centred(bias is not None)
        change = torch.zeros_like(_matrix(weight, self._groups))
        for group, outputs, columns in self._systems(equations.gram):
            found = equations.solution(group, outputs, columns)
            change[group, outputs.unsqueeze(1), columns] = found
        self._weight.copy_(weight + change.view_as(weight))
        if bias is not None and self._own.bias is not None:
            means = torch.einsum("gd,god->go", equations.mean_input, change)
            shift = (equations.mean_missing - means).flatten()
            if self._own.bias_kept is not None:
                shift = torch.where(self._own.bias_kept.to(shift.device), shift, 0.0)
            self._own.bias.copy_(bias + shift)

    def _is_open(self, like: Tensor) -> Tensor:
        """Which outputs can change: those of channels that were cut stay zero."""
        if self._own.kept is None:
            return torch.ones((), device=like.device)
        found = self._own.kept.flatten(1).any(1)
        if self._own.bias is not None:
            found |= True if self._own.bias_kept is None else self._own.bias_kept
        return found.to(like.device).view(self._groups, -1)

    def _added(self, x: Tensor) -> Tensor:
        """What the mending so far adds to the output of some rows."""
        weight, bias = self._before
        change = _matrix(_wide(self._weight) - weight, self._groups)
        added = torch.einsum("ngd,god->ngo", x, change)
        if bias is not None and self._own.bias is not None:
            added = added + (_wide(self._own.bias) - bias).view(self._groups, -1)
        return added

    def _systems(self, gram: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Group, outputs and columns of weights: outputs that keep the same weights together."""
        kept = torch.ones_like(self._weight) if self._own.kept is None else self._own.kept
        kept = _matrix(kept.to(gram.device).bool(), self._groups)
        alive = gram.diagonal(dim1=1, dim2=2) > 0
        for group in range(self._groups):
            free = kept[group] & alive[group]
            patterns, which = free.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
            for number, pattern in enumerate(patterns):
                if pattern.any():
                    yield group, (which == number).nonzero()[:, 0], pattern.nonzero()[:, 0]


class _Reconstruction:
    """Fits layer after layer."""

    def __init__(self, fits: Mapping[str, _Fit]) -> None:
        self._fits = fits
        self._generator = torch.Generator().manual_seed(0)

    @property
    def done(self) -> bool:
        """Whether every layer has seen enough."""
        return all(fit.is_over for fit in self._fits.values())

    def note(
        self, name: str, module: nn.Module, inputs: Tensor, output: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Some places, and what the layer gave there before the cut."""
        del inputs
        if self._fits[name].is_over:
            return None
        places = places_of(module, output, self._generator)
        return places, output_rows(module, output, places)

    def mend(
        self,
        name: str,
        module: nn.Module,
        inputs: Tensor,
        output: Tensor,
        noted: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Learn from a batch, and run the layer again with the weights that it has then."""
        fit = self._fits[name]
        if noted is None:
            return output
        fit.learn(inputs, output, *noted)
        return module.forward(inputs) if fit.is_changed else output

    def close(self) -> Iterable[str]:
        """Solve what has come since the last solution."""
        for name, fit in self._fits.items():
            if fit.is_changed:
                fit.solve()
                yield name


def _matrix(weight: Tensor, groups: int) -> Tensor:
    """`[groups, outputs of a group, weights of an output]`."""
    return weight.reshape(groups, weight.shape[0] // groups, -1)


def _wide(tensor: Tensor) -> Tensor:
    """In double precision, on the CPU where the device has none."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).detach().double()


REPAIR = Repair(
    summary="The kept weights, fitted so that each layer gives what it gave before the cut.",
    source="He, Zhang and Sun 2017, arXiv 1707.06168, equation 1",
    run=reconstruct,
    needs_dense=True,
)
