"""A run folder, and the addresses that it is copied to: a folder, memory, a real S3 server."""

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from secateur.point import Point
from secateur.study.plan import Run
from secateur.study.store import Store

from .run_source import KEYS, Source


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server of its own."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    script = Path(__file__).with_name("s3_server.py")
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        yield address
        process.kill()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address in a bucket of its own, which this process reaches."""
    bucket = f"bucket-{uuid4().hex}"
    request = urllib.request.Request(f"{s3_server}/{bucket}", method="PUT")
    urllib.request.urlopen(request, timeout=60).close()
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": s3_server, **KEYS})
    return f"s3://{bucket}/runs/mine"


@pytest.fixture(params=["file", "s3", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address of each kind: renamed there, or copied and removed."""
    if request.param == "s3":
        found: str = request.getfixturevalue("s3")
        return found
    return f"file://{tmp_path}/there/mine" if request.param == "file" else f"memory://{uuid4().hex}"


@pytest.fixture
def source(tmp_path: Path, make_point: Callable[..., tuple[Run, Point]]) -> Source:
    levels = [("dense", ()), ("magnitude", (0.5,)), ("magnitude", (0.9,))]
    made = [make_point(name, level, 90 - n, n) for n, (name, level) in enumerate(levels)]
    settings = {"name": "s", "model": {"name": "m"}, "data": {"name": "d"},
                "methods": {"magnitude": {"levels": []}}}  # fmt: skip
    with Store.writing(tmp_path / "run") as store:
        store.begin(settings, [run for run, _ in made])
    return Source(tmp_path / "run", made)
