"""What of fasterai can be had beside torch for the CPU: its sparsifier, and not its pruner.

    pip install --no-deps fasterai==0.4.1 fastcore einops
    python benchmarks/peers/fasterai_peer.py    # tries all of it: fasterai.json

Its pruner of channels (Torch-Pruning underneath) imports `fastai.vision`, and so torchvision, whose
build on PyPI belongs to another release of torch. The attempt is repeated and written down here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

HERE = Path(__file__).parent
ALONE = ("fasterai==0.4.1", "fastcore", "einops")
WHOLE = (*ALONE, "fastai", "fastdownload", "fasttransform", "fastprogress==1.0.3",
         "plum-dispatch<2.10", "beartype", "torchvision", "torch-pruning==1.6.1")  # fmt: skip
TRIED = {
    "the sparsifier": "from fasterai.sparse.sparsifier import Sparsifier",
    "the pruner": "from fasterai.prune.pruner import Pruner",
    "torchvision alone": "import torchvision",
}


def is_there() -> bool:
    """Whether its sparsifier can be imported."""
    return all(find_spec(name) is not None for name in ("fasterai", "fastcore", "einops"))


def sparsified(net: nn.Module, level: float) -> nn.Module:
    """fasterai's sparsifier: weights of the largest magnitude stay, all layers ranked together.

    Its callback multiplies by the masks after each step; here gradients are, which is the same for
    an optimizer that starts anew.
    """
    from fasterai.core.criteria import large_final
    from fasterai.sparse.sparsifier import Sparsifier

    kinds = (nn.Conv2d, nn.Linear)
    sparsifier = Sparsifier(net, "weight", "global", large_final, layer_type=kinds)
    sparsifier.sparsify_model(level)
    for module in net.modules():
        if isinstance(module, kinds):
            _hold(module.weight, module._mask.clone())
    sparsifier._clean_buffers()
    return net


def _hold(weight: nn.Parameter, mask: Tensor) -> None:
    weight.register_hook(lambda gradient: gradient * mask)


def attempt(packages: tuple[str, ...], code: str) -> str:
    """What becomes of an import in a folder with some packages beside the torch of this process."""
    with tempfile.TemporaryDirectory() as folder:
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder]
        done = subprocess.run([*install, *packages], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"not installed: {done.stderr.strip().splitlines()[-1][:200]}"
        program = f"import sys; sys.path.insert(0, {folder!r}); {code}"
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
    return "imported" if not done.returncode else done.stderr.strip().splitlines()[-1][:200]


def main() -> None:
    sys.path.insert(0, str(HERE.parent / "studies"))
    from results import write

    from secateur.measure.environment import environment

    rows: list[dict[str, Any]] = [
        {"what": what, "with": list(packages), "outcome": attempt(packages, TRIED[what])}
        for what, packages in (
            ("the sparsifier", ALONE),
            ("the pruner", WHOLE),
            ("torchvision alone", ("torchvision",)),
        )
    ]
    write(HERE / "fasterai.json", {"environment": environment(), "attempts": rows})


if __name__ == "__main__":
    main()
