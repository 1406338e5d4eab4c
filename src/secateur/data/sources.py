"""Finding the official files of a data set on this machine, or fetching them; never unchecked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from secateur.errors import DataError


@dataclass(frozen=True)
class OfficialFile:
    """A file as its authors publish it.

    Attributes:
        name: The file's name.
        sha256: Of the file that the URLs give.
        urls: Where it is published, the first choice first.
        also: SHA-256 of other packings of the same bytes that are accepted where found.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    also: tuple[str, ...] = ()


def locate(data_set: str, file: OfficialFile, folders: Sequence[Path] = ()) -> Path:
    """The path of an official file, its SHA-256 checked; it is downloaded where it is missing.

    Looked for in `$SECATEUR_DATA/<data set>/`, in the user's cache, then in `folders`. A download
    goes into the cache: the other places may be shared, or read-only.

    Args:
        data_set: The name of the data set and of its folder.
        file: What to look for.
        folders: Where a system package would have put it.

    Raises:
        DataError: The file is damaged, or in none of the places and cannot be downloaded.
    """
    cache = platformdirs.user_cache_path("secateur") / "data" / data_set
    chosen = os.environ.get("SECATEUR_DATA")
    first = [Path(os.path.expanduser(chosen)) / data_set] if chosen else []
    places = [*first, cache, *folders]
    for place in places:
        path = place / file.name
        if path.is_file():
            _verify(data_set, path, file)
            return path
    return _download(data_set, file, cache, places)


def _verify(data_set: str, path: Path, file: OfficialFile) -> None:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"reading {data_set}",
            str(path),
            given=f"unreadable ({error.strerror})",
            expected="a readable file",
            remedy="Change its permissions, or remove it to have it downloaded anew.",
        ) from error
    if found not in (file.sha256, *file.also):
        raise DataError(
            f"reading {data_set}",
            str(path),
            given=f"damaged or another file ({path.stat().st_size} bytes, SHA-256 {found})",
            expected=f"the official file, SHA-256 {file.sha256}",
            remedy="Delete it and run again to download it anew.",
        )


def _download(data_set: str, file: OfficialFile, cache: Path, looked_in: Sequence[Path]) -> Path:
    import pooch  # type: ignore[import-untyped]
    from requests.exceptions import RequestException

    failures = []
    for url in file.urls:
        try:
            found = pooch.retrieve(
                url, known_hash=f"sha256:{file.sha256}", fname=file.name, path=cache
            )
            return Path(found)
        except (OSError, ValueError, RequestException) as error:
            failures.append(f"{url}: {_reason(error)}")
    places = ", ".join(map(str, looked_in))
    raise DataError(
        f"reading {data_set}",
        file.name,
        given=f"in none of {places}, and not to be downloaded ({'; '.join(failures)})",
        expected="the official file",
        remedy=f"Put it into {cache}, or go online and run again.",
    )


def _reason(error: Exception) -> str:
    """The failure in one line: requests nests the cause several exceptions deep."""
    line = " ".join(str(error).split())
    return f"{type(error).__name__}, {line[:120]}"
