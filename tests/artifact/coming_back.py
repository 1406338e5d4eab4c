"""Cut nets on their way through a file into a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from cutting import random_masks
from facts import Facts, facts
from torch import nn

from secateur.artifact.save import save
from secateur.channels import compact_with_record, trace

Grow = Callable[[str, int], tuple[nn.Module, Any]]


class Journey(NamedTuple):
    """Facts of each net, by its name: as it was saved, and as a fresh process has read it."""

    saved: dict[str, Facts]
    read: dict[str, Facts]


def travel(module: str, grow: Grow, names: Iterable[str], folder: Path) -> Journey:
    """Cut and save each net, and read all of them in one fresh process in another directory.

    Args:
        module: The test module, whose `grow` the fresh process calls.
        grow: By name and seed, a net and its example.
        names: Which nets.
        folder: An empty one.
    """
    files, away = folder / "files", folder / "away"
    files.mkdir()
    away.mkdir()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        saved = {
            name: _cut_and_save(*grow(name, 0), files / f"{name}.safetensors") for name in names
        }
    finally:
        torch.set_num_threads(threads)
    return read_afresh(module, saved, files, away)


def read_afresh(
    module: str,
    saved: dict[str, Facts],
    files: Path,
    away: Path,
    import_from: Iterable[Path] = (),
) -> Journey:
    """Read all the files of a folder in one fresh process.

    Args:
        module: The test module, whose `grow` the fresh process calls.
        saved: The facts of the nets that were saved there.
        files: The folder.
        away: The directory to do it in.
        import_from: Folders of the user's own modules.
    """
    paths = [*map(str, import_from), *filter(None, [os.environ.get("PYTHONPATH")])]
    reader = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fresh_reader.py")), module, str(files)],
        cwd=away,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert reader.returncode == 0, reader.stderr
    read: dict[str, Facts] = {}
    for line in reader.stdout.splitlines():
        read |= json.loads(line)
    return Journey(json.loads(json.dumps(saved)), read)


def _cut_and_save(model: nn.Module, example: Any, path: Path) -> Facts:
    traced = trace(model, example)
    masks, _ = random_masks(model, traced.groups("all"), 0.4, 0)
    record = compact_with_record(model, masks, example, verify=False, traced=traced)
    small = record.model.eval()
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in model.parameters())
    save(small, path, dense=model, kept=record.kept)
    return facts(small, example)
