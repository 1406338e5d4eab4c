"""Read files of cut nets where nothing is known of them but their class: a script of its own.

Prints, net by net, the facts of what `load` makes of each file and of the class that built the
net, with other weights than those saved.

    python fresh_reader.py test_zoo FOLDER
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from facts import Facts, facts

from secateur.artifact.load import load

SEED, OTHER_SEED = 0, 1


def main(module: str, folder: Path) -> None:
    torch.set_num_threads(1)
    grow = importlib.import_module(module).grow
    for path in sorted(folder.glob("*.safetensors")):
        _, example = grow(path.stem, SEED)

        def build(name: str = path.stem) -> torch.nn.Module:
            model: torch.nn.Module = grow(name, OTHER_SEED)[0]
            return model

        try:
            found: Facts = facts(load(path, build), example)
        except Exception:
            found = {"error": traceback.format_exc()}
        sys.stdout.write(json.dumps({path.stem: found}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
