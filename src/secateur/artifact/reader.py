"""Reading a model file tensor by tensor: ours, or any other safetensors file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np
from torch import Tensor

from secateur.artifact.coding import Coded, CodingError, Words, decode, nonzero_blocks
from secateur.artifact.container import ITEM_SIZES, Container
from secateur.artifact.error import damaged
from secateur.artifact.manifest import KEY, CodedTensor, Manifest
from secateur.artifact.tensors import (
    DTYPES,
    are_strides_of,
    as_bytes,
    count_zeros,
    empty,
    laid_out,
)
from secateur.errors import ArtifactError

_ALWAYS_ALLOWED = 1 << 28
_ALLOWED_RATIO = 4096
_STREAM_RATIO = 256
"""Values that are all alike are packed so well; weights are not."""


class Reader:
    """The tensors of an open file.

    Args:
        container: The file.

    Attributes:
        container: The file.
        manifest: What it says about itself; an empty one for a file that is not ours.
        is_ours: Whether secateur wrote it.

    Raises:
        ArtifactError: The manifest and the container do not agree.
    """

    def __init__(self, container: Container) -> None:
        self.container = container
        text = container.metadata.get(KEY)
        self.is_ours = text is not None
        self.manifest = (
            Manifest(version=0) if text is None else Manifest.from_text(container.path, text)
        )
        self._check()

    @property
    def names(self) -> tuple[str, ...]:
        """Stored tensors, in the order of their bytes; further names of tied ones left out."""
        return tuple(self.container.entries)

    def dtype(self, name: str) -> str:
        """The container's name for the type of a tensor."""
        coded = self.manifest.coded.get(name)
        return coded.dtype if coded else self.container.entries[name].dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape."""
        coded = self.manifest.coded.get(name)
        return tuple(coded.shape) if coded else self.container.entries[name].shape

    def tensor(self, name: str) -> Tensor:
        """Read one tensor.

        Raises:
            ArtifactError: Its code is damaged, or torch has no such type.
        """
        if self.dtype(name) not in DTYPES:
            raise damaged(
                self.container.path, f"{name} of type {self.dtype(name)}", "a type that torch has"
            )
        tensor, words = empty(self.dtype(name), self.shape(name))
        coded = self.manifest.coded.get(name)
        if coded is None:
            self.container.read_into(name, as_bytes(words))
        else:
            self._decode(name, coded, words)
        return laid_out(tensor, self.manifest.strides.get(name))

    def words(self, name: str) -> Words:
        """The bits of a tensor that is not coded, `[numel]`."""
        return np.frombuffer(self.container.read(name), f"<u{ITEM_SIZES[self.dtype(name)]}")

    def count_zeros(self, name: str) -> int:
        """How many elements of a tensor compare equal to 0, counted in the bytes of the file.

        Raises:
            ArtifactError: Its code is damaged, or the manifest says another number.
        """
        coded = self.manifest.coded.get(name)
        if coded is None:
            return count_zeros(self.dtype(name), self.words(name))
        zeros = prod(coded.shape)
        width = np.dtype(f"<u{ITEM_SIZES[coded.dtype]}")
        with self._decoding(name):
            for _, values in nonzero_blocks(self._code(name, coded), zeros, width):
                zeros -= values.size - count_zeros(coded.dtype, values)
        if zeros != coded.zeros:
            given = f"{name} with {zeros:,} zeros"
            raise damaged(self.container.path, given, f"the {coded.zeros:,} that it says")
        return zeros

    def _decode(self, name: str, coded: CodedTensor, words: Words) -> None:
        with self._decoding(name):
            decode(self._code(name, coded), words)

    def _code(self, name: str, coded: CodedTensor) -> Coded:
        return Coded(coded.nonzero, coded.gaps, tuple(coded.frames), self.container.read(name))

    @contextmanager
    def _decoding(self, name: str) -> Iterator[None]:
        try:
            yield
        except CodingError as error:
            raise damaged(self.container.path, f"{name} coded with {error}", "its code") from None

    def check_streams(self) -> None:
        """Refuse a file whose codes would take far longer to read through than the file is.

        Raises:
            ArtifactError: They would.
        """
        coded = self.manifest.coded.values()
        needed = sum(one.gaps + one.nonzero * ITEM_SIZES[one.dtype] for one in coded)
        if needed > max(_ALWAYS_ALLOWED, _STREAM_RATIO * self.container.size):
            given = f"codes of {self.container.size:,} bytes that unfold to {needed:,}"
            raise damaged(self.container.path, given, "about what it holds")

    def check_expansion(self) -> None:
        """Refuse a file whose coded tensors would unfold to far more than it holds.

        Raises:
            ArtifactError: They would.
        """
        self.check_size(
            sum(
                prod(coded.shape) * ITEM_SIZES[coded.dtype]
                for coded in self.manifest.coded.values()
            )
        )

    def check_size(self, needed: int) -> None:
        """Refuse to take far more memory on a file's word than the file itself takes.

        Args:
            needed: Bytes.

        Raises:
            ArtifactError: It is far more.
        """
        allowed = max(_ALWAYS_ALLOWED, _ALLOWED_RATIO * self.container.size)
        if needed > allowed:
            raise ArtifactError(
                "reading a model file",
                str(self.container.path),
                given=f"{self.container.size:,} bytes that unfold to {needed:,}",
                expected=f"at most {allowed:,}",
                remedy="If you trust it, use load(path, build_model): the net's size bounds it.",
            )

    def _check(self) -> None:
        path, entries, manifest = self.container.path, self.container.entries, self.manifest
        for name, coded in manifest.coded.items():
            entry = entries.get(name)
            if entry is None or entry.dtype != "U8":
                raise damaged(path, f"a code of {name!r} that is not there", "U8")
            if coded.dtype not in ITEM_SIZES or prod(coded.shape) >= 1 << 62:
                raise damaged(path, f"{name} coded as {coded.dtype[:20]!r}", "a type and a size")
        for alias, name in manifest.tied.items():
            if alias in entries or name not in entries:
                raise damaged(path, f"{alias!r} tied to {name!r}", "a tensor in the file")
        for name, shape in manifest.dense.items():
            if name not in entries or len(shape) != len(self.shape(name)):
                raise damaged(path, f"{name!r} of another rank before", "as many axes as now")
        for name, axes in manifest.slots.items():
            if any(number >= len(manifest.kept) for number in axes.values()):
                raise damaged(path, f"{name!r} with channels that are not listed", "a list")
        for name, strides in manifest.strides.items():
            if name not in entries or not are_strides_of(self.shape(name), strides):
                raise damaged(path, f"{name!r} with strides {strides[:8]}", "strides of its shape")


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Reader]:
    """Open a model file, every byte of it checked.

    Raises:
        ArtifactError: There is none, or it is damaged, hostile or too new.
    """
    with Container.open(path) as container:
        container.check_digest()
        reader = Reader(container)
        if reader.is_ours and not container.is_signed:
            raise damaged(container.path, "without its SHA-256", "one, as secateur writes it")
        yield reader
