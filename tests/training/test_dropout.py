import pytest
import torch
from torch import nn

from secateur.training.dropout import byte_dropout


def drawn(p: float, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    layer = nn.Dropout(p)
    torch.manual_seed(seed)
    with byte_dropout(layer):
        return layer(images)


@pytest.mark.parametrize("p", [1 / 256, 0.25, 0.5, 255 / 256])
@pytest.mark.parametrize("shape", [(1_000_001,), (10, 4, 100, 251)])
def test_the_share_and_the_scale_are_those_of_dropout(p, shape):
    kept = drawn(p, torch.ones(shape))
    assert kept.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
    # Five standard deviations of the mean of so many draws.
    count = kept.numel()
    assert (kept == 0).float().mean().item() == pytest.approx(
        p, abs=5 * (p * (1 - p) / count) ** 0.5
    )


def test_every_byte_of_a_word_is_uniform_and_on_its_own():
    dropped = (drawn(0.5, torch.ones(800_000)) == 0).float().reshape(-1, 8)
    assert torch.allclose(dropped.mean(0), torch.full((8,), 0.5), atol=0.01)
    assert torch.allclose(torch.corrcoef(dropped.T), torch.eye(8), atol=0.02)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_and_the_gradient_are_kept(layout):
    images = torch.randn(3, 5, 7, 9).contiguous(memory_format=layout).requires_grad_()
    out = drawn(0.25, images)
    assert out.stride() == images.stride()
    out.sum().backward()
    assert torch.equal(images.grad != 0, out != 0)
    assert torch.equal(images.grad.unique(), out.new_tensor([0, 4 / 3]))


def test_the_seed_decides():
    images = torch.ones(1000)
    assert torch.equal(drawn(0.5, images, 1), drawn(0.5, images, 1))
    assert not torch.equal(drawn(0.5, images, 1), drawn(0.5, images, 2))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_other_probabilities_are_left_to_torch(p):
    images = torch.ones(1000)
    ours = drawn(p, images)
    torch.manual_seed(0)
    layer = nn.Dropout(p)
    assert torch.equal(ours, layer(images))
    with byte_dropout(layer):
        assert "forward" not in vars(layer)


def test_strided_and_evaluated_inputs_are_left_to_torch():
    layer = nn.Dropout(0.5)
    images = torch.ones(8, 8)[:, ::2]
    with byte_dropout(layer):
        torch.manual_seed(0)
        ours = layer(images)
        layer.eval()
        assert torch.equal(layer(images), images)
    torch.manual_seed(0)
    assert torch.equal(ours, nn.Dropout(0.5)(images))


def test_layers_are_given_back_even_after_an_error():
    layer = nn.Dropout(0.5)
    with pytest.raises(TypeError), byte_dropout(layer):
        layer(1, 2)
    assert "forward" not in vars(layer)
