import pytest
import torch

from secateur.errors import ModelError
from secateur.models.lenet import lenet_5, lenet_300_100


def counts(net: torch.nn.Module) -> list[int]:
    return [parameter.numel() for parameter in net.parameters()]


def test_parameters_of_lenet_300_100() -> None:
    assert counts(lenet_300_100()) == [784 * 300, 300, 300 * 100, 100, 100 * 10, 10]
    assert sum(counts(lenet_300_100())) == 266_610


def test_parameters_of_lenet_5_in_caffe_widths() -> None:
    assert counts(lenet_5()) == [500, 20, 25_000, 50, 400_000, 500, 5_000, 10]
    assert sum(counts(lenet_5())) == 431_080


def test_lenet_300_100_takes_any_shape() -> None:
    assert lenet_300_100((3, 5, 1), 2)(torch.zeros(4, 3, 5, 1)).shape == (4, 2)


def test_smallest_image_of_lenet_5() -> None:
    assert lenet_5((3, 17, 16), 7)(torch.zeros(2, 3, 17, 16)).shape == (2, 7)
    with pytest.raises(ModelError, match=r"lenet-5.*3x15x17, expected at least 3x16x16"):
        lenet_5((3, 15, 17), 7)
