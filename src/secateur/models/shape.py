"""The check that every reference net makes of the shape that it is built for."""

from __future__ import annotations

from secateur.errors import ModelError

Shape = tuple[int, int, int]
"""Channels, height, width of one image."""


def check_shape(net: str, shape: tuple[int, ...], classes: int, *, smallest: int = 1) -> None:
    """Refuse an input that the net cannot take, before any tensor is made.

    Args:
        net: The net's name, for the message.
        shape: Channels, height, width.
        classes: How many outputs are asked for.
        smallest: The least height and width at which every layer still has an output.

    Raises:
        ModelError: The image is too small, the shape is not three positive integers, or
            there is not one class.

    Example:
        >>> check_shape("conv4", (3, 25, 25), 5, smallest=10)
        >>> check_shape("conv4", (3, 8, 8), 5, smallest=10)
        Traceback (most recent call last):
        ...
        secateur.errors.ModelError: building conv4: the input shape is 3x8x8, \
expected at least 3x10x10. Use larger images or another net.
    """
    operation = f"building {net}"
    if len(shape) != 3 or min(shape) < 1:
        raise ModelError(
            operation,
            "the input shape",
            given=str(tuple(shape)),
            expected=f"(channels, height, width), at least (1, {smallest}, {smallest})",
            remedy="Pass the shape of one image, without the batch.",
        )
    channels, height, width = shape
    if min(height, width) < smallest:
        raise ModelError(
            operation,
            "the input shape",
            given=f"{channels}x{height}x{width}",
            expected=f"at least {channels}x{smallest}x{smallest}",
            remedy="Use larger images or another net.",
        )
    if classes < 1:
        raise ModelError(
            operation,
            "the number of classes",
            given=str(classes),
            expected="1 or more",
            remedy="Pass how many classes the data have.",
        )
