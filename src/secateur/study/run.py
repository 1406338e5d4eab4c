"""One run of a study: it depends on its settings, its seed and its parents' files alone.

What it leaves behind is the file of its weights and the values that the store keeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from secateur.data.data import Data
from secateur.data.images import ImageData
from secateur.errors import ChannelError, DataError
from secateur.foundation.numbers import finite_number
from secateur.measure.cost import cost
from secateur.measure.environment import environment
from secateur.measure.sparsity import sparsity
from secateur.point import Epochs, Layer, Measured, Point, Share
from secateur.pruning.method import Preparation
from secateur.pruning.weights import Weight, prunable_weights
from secateur.registry import METHODS, METRICS, imported
from secateur.study.before_training import as_before
from secateur.study.checkpoint import load_checkpoint, save_checkpoint
from secateur.study.cut_net import CutNet
from secateur.study.folder import checkpoint_name
from secateur.study.job import Job
from secateur.study.metrics import Metric, measured
from secateur.study.point_artifact import artifact_bytes, compaction_of
from secateur.study.run_training import come_to_rest
from secateur.training.device import resolve_device
from secateur.training.epoch import Epoch
from secateur.training.fit import stream


def perform(job: Job, on_epoch: Callable[[Epoch], None] | None = None) -> dict[str, Any]:
    """Do one run and write its checkpoint.

    Returns:
        What the store keeps: the `point`, or of a run that gives none its `curve`; `trained`, the
        seconds of training; and `sha256`, the sum of its checkpoint.

    Raises:
        SecateurError: The run cannot be done; the message says why.
    """
    begun = time.monotonic()
    data = job.setup.load_data().to(resolve_device(job.device))
    if job.run.preparing and not job.run.is_base:
        return _prepare(job, METHODS[job.run.method].prepare, data, on_epoch)
    cut_net = CutNet(job, data)
    cut_net.training.on_epoch = on_epoch
    cut_net.advance()
    if job.run.preparing:
        cut_net.save()
        curve = cut_net.training.curve
        found: dict[str, Any] = {"curve": [entry.to_dict() for entry in curve]}
    else:
        found = {"point": measure(cut_net, begun).to_dict()}
    return {**found, "trained": round(cut_net.training.seconds, 3), "sha256": cut_net.sum}


def _prepare(
    job: Job,
    preparation: Preparation,
    data: Data,
    on_epoch: Callable[[Epoch], None] | None,
) -> dict[str, Any]:
    begun = time.monotonic()
    net = CutNet(job, data)
    net.model.load_state_dict(load_checkpoint(*job.parent("base"))[0])
    prepare: Callable[..., Any] = imported("preparation", preparation.run)
    found, curve = prepare(
        net.model,
        data,
        job.study.training,
        loop=net.loop,
        options=net.options,
        seed=stream(job.run.seed, preparation.name),
        device=job.device,
        on_epoch=on_epoch,
        **({"groups": net.free_groups()} if preparation.gives_net else {}),
    )
    job.setup.check_unchanged(data)
    saved = save_checkpoint(job.output, found)
    trained = round(time.monotonic() - begun, 3)
    return {"curve": [entry.to_dict() for entry in curve], "trained": trained, "sha256": saved}


def measure(net: CutNet, begun: float) -> Point:
    """Score the net, count what is left of it, and write it down."""
    run, device = net.job.run, resolve_device(net.job.device)
    net.model.to(device)
    many = net.job.study.training.batch_size
    val = net.loop.score(net.model, net.data, "val", many)
    own = tuple(_measured(net, name) for name in net.job.study.metrics)
    test = net.loop.score(net.model, net.data, "test", many)
    # At rest, so that the file measured here is the one exported later.
    come_to_rest(net.model)
    net.save()
    prunable = net.job.study.prunable
    zeros = sparsity(net.model, prunable=prunable)
    whole = cost(net.model, net.example)
    compaction = compaction_of(net.model, net.masks, net.example)
    compact = net.model if isinstance(compaction, ChannelError) else compaction.model.eval()
    small = cost(compact, net.example)
    point = Point(
        method=run.method,
        level=run.level,
        step=run.step,
        seed=run.seed,
        digest=run.digest,
        scores=(*val, *test),
        sparsity=Share(*zeros.prunable),
        conv_sparsity=Share(*zeros.conv),
        model_sparsity=Share(*zeros.model),
        parameters=whole.parameters,
        nonzero=whole.nonzero,
        masked_macs=whole.macs,
        nonzero_macs=small.nonzero_macs,
        compact_parameters=small.parameters,
        macs=small.macs,
        epochs=Epochs(**run.spent, given=_given(net.job)),
        seconds=round(time.monotonic() - begun, 3),
        checkpoint=checkpoint_name(run.digest),
        floored=net.masks.floored,
        environment=environment(device, devices=net.job.study.training.devices),
        curve=tuple(entry.to_dict() for entry in net.training.curve),
        layers=tuple(_layers(net.model, compact, prunable)),
        metrics=own,
        reached=net.reached,
        before=as_before(val) if net.before is None else net.before,
    )
    size = artifact_bytes(
        net.job.study, point, net.model, net.masks, compaction, net.data, net.example
    )
    # Last, so that the time that it takes is counted as this run's too.
    return replace(point, artifact_bytes=size, seconds=round(time.monotonic() - begun, 3))


def _given(job: Job) -> bool:
    """Whether the net's first weights may have been trained elsewhere."""
    initial = METHODS[job.run.method].start != "trained"
    study = job.study
    return not study.training.base_epochs or (bool(study.base.checkpoint) and not initial)


def _measured(net: CutNet, name: str) -> Measured:
    """A metric of the user's own, on the validation split."""
    metric: Metric = METRICS[name]
    value: object = None
    if metric.measure is not None:
        with torch.no_grad():
            value = metric.measure(net.model.eval(), net.data, _val_of(net.data))
    number = finite_number(value)
    if number is None:
        raise DataError(
            "measuring a point",
            f"the metric {metric.name!r}",
            given=f"{value!r:.60}",
            expected="a finite number",
            remedy="Return float(...) from its `measure`.",
        )
    return measured(metric, number)


def _val_of(data: Data) -> object:
    """The validation split of images, as metrics of one's own take it; of other data its name."""
    return data.val if isinstance(data, ImageData) else "val"


def _layers(model: nn.Module, compact: nn.Module, prunable: Sequence[str] = ()) -> Iterator[Layer]:
    """The prunable weights of a net, and the channels that its compact net still has of each."""
    for weight in prunable_weights(model, prunable=prunable).values():
        module = model.get_submodule(weight.module)
        yield Layer(
            name=weight.name,
            kind=type(module).__name__,
            shape=tuple(weight.parameter.shape),
            zeros=weight.parameter.numel() - int(weight.parameter.count_nonzero()),
            channels=_channels(module, weight.parameter),
            kept=_channels_left(compact, weight),
        )


def _channels_left(compact: nn.Module, weight: Weight) -> int:
    """Those of a layer in the compact net: none, if its branch was taken out."""
    own = dict(compact.named_parameters(remove_duplicate=False)).get(weight.name)
    return 0 if own is None else _channels(compact.get_submodule(weight.module), own)


def _channels(module: nn.Module, weight: Tensor) -> int:
    """The output channels of a layer: the first axis, but of a transposed convolution."""
    return int(getattr(module, "out_channels", weight.shape[0]))
