"""One of several sweeps on a run folder, in a process of its own; run by test_shared_claims.py.

    python shared_driver.py FOLDER CHANGES

Says a line for each run that it begins.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    from inline import Inline, Notes, sweep

    from secateur.registry import EXECUTORS
    from secateur.study.plan import Run

    class Telling(Notes):
        def started(self, run: Run) -> None:
            sys.stdout.write(f"{run.title}\n")
            sys.stdout.flush()

    EXECUTORS.add("inline", Inline)
    sweep(Path(sys.argv[1]), Telling(), shared=True, **json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
