"""Images and labels from a NumPy `.npz` archive."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Literal, get_args

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from secateur.data.holdout import hold_out
from secateur.data.images import ImageData, image_data
from secateur.data.split import Split
from secateur.errors import DataError

Layout = Literal["NHWC", "NCHW", "NHW"]
_Array = NDArray[numpy.generic]
_CHANNELS = (1, 3, 4)


def npz(
    path: str | Path,
    *,
    classes: int | None = None,
    layout: Layout | None = None,
    val_size: int | None = None,
    seed: int = 0,
    flip: bool = False,
    crop: int = 0,
) -> ImageData:
    """Read the arrays `x_train`, `y_train`, `x_test`, `y_test`, and `x_val`, `y_val` if there.

    Images are uint8, `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`; labels are whole numbers,
    `[N]` or `[N, 1]`. Nothing is unpickled.

    Args:
        path: The file.
        classes: How many there are; without it, one more than the greatest label.
        layout: What the images' axes are; without it, seen from where an axis of 1, 3 or 4
            channels stands, and refused if that could be both.
        val_size: Images to hold out of the training set where the file has no validation set;
            without it, a tenth.
        seed: Of what is held out.
        flip: Mirror training images with probability 1/2.
        crop: Pixels by which training images are shifted, at most.

    Raises:
        DataError: The file is missing or damaged, lacks an array, or an array has another type or
            shape.
    """
    file = Path(os.path.expanduser(path))
    if layout is not None and layout not in get_args(Layout):
        raise _refusal("the layout", repr(layout), f"one of {', '.join(get_args(Layout))}")
    arrays = _open(file)
    train, test = _split(arrays, "train", layout), _split(arrays, "test", layout)
    if "x_val" in arrays or "y_val" in arrays:
        val = _split(arrays, "val", layout)
    else:
        size = len(train) // 10 if val_size is None else val_size
        train, val = hold_out(train, size, seed=seed, name=file.name)
    if classes is None:
        classes = 1 + max(int(split.labels.max()) for split in (train, val, test) if len(split))
    return image_data(
        file.stem, train=train, val=val, test=test, classes=classes, flip=flip, crop=crop
    )


def _open(path: Path) -> dict[str, _Array]:
    try:
        with path.open("rb") as stream:
            archive = numpy.load(stream, allow_pickle=False)
            if not isinstance(archive, numpy.lib.npyio.NpzFile):
                raise _refusal(str(path), "a single array", "an .npz archive of several")
            return {name: archive[name] for name in archive.files if name[:2] in ("x_", "y_")}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise _refusal(
            str(path), f"unreadable ({_why(path, error)})", "a whole .npz archive"
        ) from error


def _why(path: Path, error: Exception) -> str:
    """NumPy takes whatever it does not know for a pickle, and says how to open that unsafely."""
    if "pickle" not in str(error):
        return str(error)
    return "pickled objects in it" if zipfile.is_zipfile(path) else "no archive and no array"


def _split(arrays: dict[str, _Array], part: str, layout: Layout | None) -> Split:
    for name in (f"x_{part}", f"y_{part}"):
        if name not in arrays:
            raise _refusal(f"the array {name}", "missing", f"beside {', '.join(arrays)}")
    return Split(
        _images(f"x_{part}", arrays[f"x_{part}"], layout), _labels(f"y_{part}", arrays[f"y_{part}"])
    )


def _images(name: str, array: _Array, layout: Layout | None) -> Tensor:
    if array.dtype != numpy.uint8:
        raise _refusal(f"the array {name}", str(array.dtype), "uint8")
    layout = layout or _layout(name, array.shape)
    if len(layout) != array.ndim:
        raise _refusal(f"the array {name}", f"of shape {array.shape}", f"axes {layout}")
    images = torch.from_numpy(array)
    if layout == "NHW":
        return images[:, None]
    return images.permute(0, 3, 1, 2).contiguous() if layout == "NHWC" else images


def _layout(name: str, shape: tuple[int, ...]) -> Layout:
    if len(shape) == 3:
        return "NHW"
    if len(shape) == 4:
        first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
        if first != last:
            return "NCHW" if first else "NHWC"
    raise DataError(
        "reading an npz",
        f"the array {name}",
        given=f"of shape {shape}",
        expected="one axis of 1, 3 or 4 channels, first or last",
        remedy="Pass layout, 'NHWC' or 'NCHW'.",
    )


def _labels(name: str, array: _Array) -> Tensor:
    if not numpy.issubdtype(array.dtype, numpy.integer):
        raise _refusal(f"the array {name}", str(array.dtype), "whole numbers")
    labels = array.astype(numpy.int64)
    return torch.from_numpy(labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels)


def _refusal(subject: str, given: str, expected: str) -> DataError:
    return DataError(
        "reading an npz",
        subject,
        given=given,
        expected=expected,
        remedy="Save it anew with numpy.savez_compressed.",
    )
