"""``python -m liveness.fleet.bound PID COMMAND...``: run a command that gets SIGTERM when its parent PID has ended.

A scan whose runner was killed stops with a checkpoint: it is not left to itself.
"""

import ctypes
import os
import signal
import sys
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
NOT_FOUND: Final = 127


def main(parent: int, command: list[str]) -> NoReturn:
    """Replace this process by the command."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the request
        sys.exit(128 + signal.SIGTERM)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command of the vantage file
    except OSError as problem:
        sys.stderr.write(f"{command[0]}: cannot run this command: {problem.strerror}\n")
        sys.exit(NOT_FOUND)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
