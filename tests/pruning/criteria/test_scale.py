import pytest
import torch

from secateur.errors import MaskError
from secateur.pruning.criteria.scale import scale
from secateur.pruning.criterion import Statistics


def test_the_absolute_scale_whatever_the_weights() -> None:
    gathered = Statistics(scales={"w": torch.tensor([0.5, -2.0, 0.0])})
    assert scale("w", torch.randn(3, 9), gathered).tolist() == [0.5, 2.0, 0.0]


@pytest.mark.parametrize(
    "scales", [{}, {"other": torch.ones(3)}, {"w": torch.ones(2)}], ids=["none", "other", "short"]
)
def test_a_layer_without_its_scales_is_named(scales: dict[str, torch.Tensor]) -> None:
    with pytest.raises(MaskError, match="expected 3 scales") as caught:
        scale("w", torch.zeros(3, 9), Statistics(scales=scales))
    assert caught.value.subject == "w"
