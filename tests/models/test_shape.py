import pytest

from secateur.errors import ModelError
from secateur.models.shape import check_shape


def test_the_smallest_shape_passes() -> None:
    check_shape("net", (1, 4, 4), 1, smallest=4)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((1, 3, 4), 1, "1x3x4, expected at least 1x4x4"),
        ((1, 4, 3), 1, "1x4x3, expected at least 1x4x4"),
        ((0, 4, 4), 1, r"\(0, 4, 4\), expected \(channels, height, width\)"),
        ((4, 4), 1, r"\(4, 4\), expected \(channels, height, width\)"),
        ((1, 4, 4), 0, "classes is 0, expected 1 or more"),
    ],
)
def test_anything_less_is_refused(shape: tuple[int, ...], classes: int, message: str) -> None:
    with pytest.raises(ModelError, match=f"building net: .*{message}"):
        check_shape("net", shape, classes, smallest=4)
