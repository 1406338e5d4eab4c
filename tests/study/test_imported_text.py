"""Run in a process of its own: what is imported is noted from then on."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

CODE = """
import os, sys, time
from secateur.study.imported_text import IMPORTED, note_imports
note_imports()
note_imports()
import mine, json, wave
open("mine.py", "w").write("A = 3\\n")
print(mine.A, IMPORTED["mine"], sorted(IMPORTED))
"""


def test_the_text_is_noted_as_it_was_imported(tmp_path: Path) -> None:
    """Compiled code of the same size and second is passed by."""
    file = tmp_path / "mine.py"
    file.write_text("A = 1\n")
    subprocess.run([sys.executable, "-c", "import mine"], cwd=tmp_path, check=True)
    stamp = file.stat()
    file.write_text("A = 2\n")
    import os

    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2", sha256(b"A = 2\n").hexdigest(), "['mine']"]
