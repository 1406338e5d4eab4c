"""A folder at an address: whatever fsspec reaches, `s3://`, `gs://`, `file://` and many more.

A file gets its name there once it is whole and has been read back: under a name there is the old
file or the new one, never a part. Keys and passwords are the driver's business, which takes them
from its own settings and from the environment; what an address or an error holds of them is shown
to nobody.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from secateur.errors import StoreError, UsageError
from secateur.foundation.html import plain
from secateur.study.folder import PARTIAL

# Their folders are parts of names: there are none to be made, and a new file is whole or absent.
_OBJECT_STORES = frozenset(
    "s3 s3a gs gcs abfs abfss az adl oss oci r2 b2 swift memory".split()  # noqa: SIM905
)
_PIECE = 1 << 20
_USER = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"\?\S*")
_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_LONGEST = 300
_PROBE = b"secateur"


class RemoteFolder:
    """A folder at an fsspec address.

    Args:
        address: `s3://bucket/prefix`, `file:///mnt/all/mine`, a path, ...

    Attributes:
        shown: The address without whatever may be secret in it.

    Raises:
        UsageError: The address is none, or what reads such addresses is not installed.
    """

    def __init__(self, address: str) -> None:
        self.shown = shown(address)
        self._files, self._root = _opened(address, self.shown)

    def check(self) -> None:
        """Make sure that files can be written, read, renamed and removed there.

        Raises:
            StoreError: They cannot; nothing is left.
        """
        name = f".probe-{uuid.uuid4().hex}"
        with self._told("trying an address"):
            self._write(name, lambda path: self._files.pipe_file(path, _PROBE), _sum(_PROBE))
            self._files.rm_file(self._path(name))

    def put(self, name: str, file: Path, expected: str) -> None:
        """Copy a file there.

        Args:
            name: Its name in the folder; parts between slashes.
            file: The file.
            expected: Its SHA-256, of what it is to be.

        Raises:
            StoreError: It cannot be written, or what came there is something else; what was there
                under that name is untouched.
        """
        with self._told("copying a file", name):
            self._write(name, lambda path: self._files.put_file(str(file), path), expected)

    def put_bytes(self, name: str, content: bytes) -> None:
        """Write a file there, likewise."""
        with self._told("copying a file", name):
            self._write(name, lambda path: self._files.pipe_file(path, content), _sum(content))

    def _write(self, name: str, write: Callable[[str], object], expected: str) -> None:
        """Write under another name, read that back, and rename it."""
        path = self._path(name)
        folder, _, last = path.rpartition("/")
        partial = f"{folder}/.{last}.{uuid.uuid4().hex[:12]}{PARTIAL}"
        if not self._is_object_store:
            self._files.makedirs(folder, exist_ok=True)
        try:
            write(partial)
            self._files.invalidate_cache()
            if self._sum(partial) != expected:
                raise OSError(None, "what was read back is not what was written")
            self._rename(partial, path)
        except BaseException:
            with suppress(Exception):
                self._files.rm_file(partial)
            raise
        finally:
            self._files.invalidate_cache()

    def _rename(self, old: str, new: str) -> None:
        if self._is_object_store:
            self._files.cp_file(old, new)
            self._files.rm_file(old)
            return
        try:
            self._files.mv(old, new)
        except FileExistsError:  # some take no name that is taken
            self._files.rm_file(new)
            self._files.mv(old, new)

    @property
    def _is_object_store(self) -> bool:
        protocol = self._files.protocol
        return not _OBJECT_STORES.isdisjoint((protocol,) if isinstance(protocol, str) else protocol)

    def _sum(self, path: str) -> str:
        found = hashlib.sha256()
        with self._files.open(path, "rb") as file:
            for piece in _pieces(file):
                found.update(piece)
        return found.hexdigest()

    def read(self, name: str, most: int) -> bytes | None:
        """A small file's bytes; None if there is no such file.

        Args:
            name: Of the file.
            most: Bytes that are read at most.

        Raises:
            StoreError: It is longer, or cannot be read.
        """
        with self._told("reading a copy", name):
            try:
                self._files.invalidate_cache()
                with self._files.open(self._path(name), "rb") as file:
                    content = bytes(file.read(most + 1))
            except FileNotFoundError:
                return None
            if len(content) > most:
                raise OSError(None, f"it is longer than {most:,} bytes")
            return content

    def get(self, name: str, file: IO[bytes], size: int) -> str:
        """Read a file of a known size; returns the SHA-256 of what was read.

        Args:
            name: Of the file.
            file: Open for writing.
            size: In bytes; what is longer is not read to its end.

        Raises:
            StoreError: It cannot be read.
        """
        found, left = hashlib.sha256(), size + 1
        with self._told("fetching a file", name), self._files.open(self._path(name), "rb") as there:
            for piece in _pieces(there):
                found.update(piece[:left])
                file.write(piece[:left])
                left -= len(piece)
                if left <= 0:
                    break
        return found.hexdigest()

    def names(self) -> list[str]:
        """The names of all files in the folder, those in its subfolders with a slash."""
        with self._told("listing a copy"):
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._root)
            except FileNotFoundError:
                return []
            start = f"{self._root}/"
            return sorted(path.removeprefix(start) for path in found if path.startswith(start))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there and can be: nobody counts on its being gone."""
        with suppress(Exception):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _told(self, operation: str, name: str = "") -> Iterator[None]:
        """Name whatever a driver, and the library behind it, raises."""
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            raise StoreError(
                operation,
                f"{self.shown}/{name}" if name else self.shown,
                given=f"out of reach ({why(error)})",
                expected="an address that can be read and written",
                remedy="Check the address, and the keys that its driver takes from the "
                "environment; the same command goes on with what is there.",
            ) from None


def shown(address: str) -> str:
    """An address without the user, the password and the signature that may be in it.

    Example:
        >>> shown("ftp://me:secret@host/runs/"), shown("https://host/x?Signature=abc")
        ('ftp://host/runs', 'https://host/x')
    """
    return plain(_QUERY.sub("", _USER.sub("", address)).rstrip("/"), _LONGEST)


def why(error: BaseException) -> str:
    """What an error of a driver says, in a line, without the secrets of this process."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    for name, value in os.environ.items():
        if len(value) > 3 and _SECRET.search(name):
            line = line.replace(value, "***")
    return f"{type(error).__name__}: {shown(line)}" if line else type(error).__name__


def _opened(address: str, named: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise _missing(named, "fsspec") from None
    if not address or "::" in address:
        raise UsageError(
            "opening an address",
            named or "the address",
            given="one within another" if address else "empty",
            expected="one such as s3://bucket/prefix, gs://bucket/prefix or file:///mnt/all",
            remedy="Name the folder itself.",
        )
    try:
        files, root = url_to_fs(address)
    except ImportError as error:
        raise _missing(named, why(error)) from None
    except Exception as error:
        raise UsageError(
            "opening an address",
            named,
            given=f"unusable ({why(error)})",
            expected="one such as s3://bucket/prefix, gs://bucket/prefix or file:///mnt/all",
            remedy="Check its first word: fsspec lists those that it knows.",
        ) from None
    return files, str(root).rstrip("/")


def _missing(named: str, what: str) -> UsageError:
    return UsageError(
        "opening an address",
        named,
        given=f"of a kind whose driver is not installed ({what})",
        expected="the extra 'remote' for s3://, or the driver that fsspec names for others",
        remedy="Run `pip install 'secateur[remote]'`, for gs:// `pip install gcsfs`.",
    )


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
