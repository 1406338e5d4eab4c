"""`python -m secateur`, and what the installed command runs.

Loading the command line takes a moment, and Ctrl-C is answered in that moment, too.
"""

from __future__ import annotations

import os
import sys

from secateur.foundation.threads import let_threads_sleep

INTERRUPTED = 130


def main() -> None:
    """Load the command line and run it."""
    let_threads_sleep(os.environ)
    try:
        from secateur import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
