"""`python -m secateur`, and what the installed command runs.

Loading the command line takes a moment, and Ctrl-C is heard in that moment, too.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Load the command line and run it."""
    try:
        from secateur import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
