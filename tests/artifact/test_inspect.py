"""Inspection: counts that agree with those of the living network."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import secateur
from secateur import models
from secateur.artifact.export import export_onnx
from secateur.artifact.inspect import inspect
from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.errors import ArtifactError
from secateur.measure.cost import cost
from secateur.measure.sparsity import sparsity

SHAPE = (1, 28, 28)


def pruned() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    net = models.build("resnet20", SHAPE, 5).eval()
    example = torch.rand(1, *SHAPE)
    first = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=example)
    small = compact_with_record(net, first, example).model
    secateur.prune(small, "magnitude", sparsity=0.8)
    return net, small


def test_our_file_has_the_counts_of_the_living_net(tmp_path: Path) -> None:
    net, small = pruned()
    save(small, tmp_path / "x", dense=net, example_inputs=torch.rand(1, *SHAPE))
    counted, zeros = cost(small, torch.rand(1, *SHAPE)), sparsity(small)
    found = inspect(tmp_path / "x")
    assert found.totals() == {
        "parameters": counted.parameters,
        "zeros": counted.parameters - counted.nonzero,
        "dense_parameters": sum(p.numel() for p in net.parameters()),
        "prunable": zeros.prunable.total,
        "prunable_zeros": zeros.prunable.zeros,
        "conv": zeros.conv.total,
        "conv_zeros": zeros.conv.zeros,
        "macs": counted.macs,
        "nonzero_macs": counted.nonzero_macs,
        "bytes": (tmp_path / "x").stat().st_size,
    }
    assert found.checked
    assert [layer.name for layer in found.layers if layer.macs] == [
        layer.name for layer in counted.layers if layer.macs
    ]
    assert json.loads(json.dumps(found.to_dict()))["kind"] == "secateur"


@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
def test_other_files_have_the_same_weights(tmp_path: Path, kind: str) -> None:
    _, small = pruned()
    path = tmp_path / f"x.{kind}"
    if kind == "onnx":
        export_onnx(small, torch.rand(1, *SHAPE), path)
    else:
        save_file(small.state_dict(), path)
    found = inspect(path).totals()
    zeros, counted = sparsity(small), cost(small, torch.rand(1, *SHAPE))
    assert found["prunable"] == zeros.prunable.total
    assert found["conv"] == zeros.conv.total
    assert found["prunable_zeros"] == zeros.prunable.zeros
    assert found["macs"] == (counted.macs if kind == "onnx" else None)
    assert found["nonzero_macs"] == (counted.nonzero_macs if kind == "onnx" else None)
    assert not inspect(path).checked


def test_roles_that_names_do_not_tell(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(3, 4)
            self.core = nn.LSTM(4, 2)
            self.register_buffer("table", torch.zeros(5))

    save(Odd(), tmp_path / "x")
    roles = {tensor.name: tensor.role for tensor in inspect(tmp_path / "x").tensors}
    assert roles["embed.weight"] == ""
    assert roles["core.weight_ih_l0"] == "linear"
    assert roles["table"] == "buffer"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for name in ("x", "x.onnx"):
        with pytest.raises(ArtifactError, match="unreadable"):
            inspect(tmp_path / name)
