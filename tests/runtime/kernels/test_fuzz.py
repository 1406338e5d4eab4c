"""The kernels on random input, with every byte watched; `make sanitize` runs many more rounds."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "sanitize_kernels.sh"
COMPILER = shutil.which(os.environ.get("CC", "cc"))


def sanitizers_work(folder: Path) -> bool:
    """Whether a program of nothing can be built with them, and runs."""
    source, program = folder / "nothing.c", folder / "nothing"
    source.write_text("int main(void) { return 0; }\n")
    build = [str(COMPILER), "-fsanitize=address,undefined", "-fopenmp", str(source), "-o", program]
    return all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0
        for command in (build, [program])
    )


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    if not sanitizers_work(tmp_path):
        pytest.skip("needs a compiler with AddressSanitizer")
    done = subprocess.run([SCRIPT, "40"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "portable: 40 rounds" in done.stdout
