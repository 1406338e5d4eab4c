"""Retraining a cut net on masks and retraining its compact net are the same computation."""

import copy
from dataclasses import fields

import pytest
import torch
from torch import nn

import secateur
import secateur.data
from secateur.channels import compact_with_record
from secateur.data.images import ImageData
from secateur.models.conv4 import conv4
from secateur.models.resnet import resnet20
from secateur.pruning.masks import Masks
from secateur.training.fit import fit
from secateur.training_settings import TrainingSpec

DATA = secateur.data.load("shapes", train=64, val=16, test=16, size=20)


def without_dropout(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


@pytest.mark.parametrize("build", [conv4, resnet20])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_both_follow_the_same_path(build, optimizer):
    torch.manual_seed(0)
    model = without_dropout(build(DATA.shape, DATA.classes)).double()
    example = DATA.example(2).double()
    masks = secateur.prune(model, "l1-filter", sparsity=0.5, example_inputs=example)
    record = compact_with_record(model, masks, example, fold=False)
    small = Masks({name: record.shrink(name, mask) for name, mask in masks.items()})
    assert record.kept
    assert all(bool(mask.all()) for mask in small.values())

    # Without weight decay: it moves weights that only read channels which are gone.
    spec = TrainingSpec(batch_size=16, optimizer=optimizer, clip_norm=1.0, learning_rate=1e-3)
    masked = copy.deepcopy(model)
    curves = [
        fit(net, doubled(DATA), spec, epochs=2, masks=held, device="cpu")
        for net, held in ((masked, masks), (record.model, None))
    ]
    for one, other in zip(*curves, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-9)
        assert one.val == other.val
    back = copy.deepcopy(model)
    back.load_state_dict(record.expand(record.model.state_dict(), like=model.state_dict()))
    images = DATA.example(16).double()
    with torch.no_grad():
        torch.testing.assert_close(back.eval()(images), masked.eval()(images), rtol=1e-8, atol=1e-9)
    trained = dict(masked.named_parameters())
    for name, parameter in back.named_parameters():
        torch.testing.assert_close(parameter, trained[name], rtol=1e-6, atol=1e-9)


def doubled(data: ImageData) -> ImageData:
    return _Doubled(**{entry.name: getattr(data, entry.name) for entry in fields(data)})


class _Doubled(ImageData):
    """The data in float64, where the two paths differ by rounding alone."""

    def normalise(self, images, memory_format=torch.contiguous_format):
        return super().normalise(images, memory_format).double()
