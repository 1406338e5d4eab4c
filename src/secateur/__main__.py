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
    _take_descriptors()
    let_threads_sleep(os.environ)
    try:
        from secateur import cli

        sys.excepthook = cli.tell_crash
        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _take_descriptors() -> None:
    """Have the numbers of the standard streams taken, where the shell has closed them.

    The next file that is opened would have such a number, and what a library prints would go
    into it: into the store, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


if __name__ == "__main__":
    main()
