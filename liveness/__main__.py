"""``python -m liveness``, and the ``liveness`` command: both begin here; Ctrl-C works from the first import on."""

import os
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))  # imports would end in a traceback

from liveness.cli.main import run


def main() -> None:
    """Run the command line."""
    run()


if __name__ == "__main__":
    main()
