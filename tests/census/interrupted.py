"""Starts a scan, and interrupts it some time after its senders were born, however long it takes to come that far.

Usage: python -m tests.census.interrupted SECONDS SENDERS COMMAND [ARGUMENT]... - leaves with the command's exit code.
"""

import signal
import subprocess
import sys
import time

from tests.census.test_interrupt import await_true, children_of


def main() -> int:
    """Run the command; return its exit code."""
    seconds, senders, *command = sys.argv[1:]
    scan = subprocess.Popen(command)

    def sends_or_ended() -> bool:
        return len(children_of(scan.pid)) >= 1 + int(senders) or scan.poll() is not None

    if await_true(sends_or_ended) and scan.poll() is None:
        time.sleep(float(seconds))
    scan.send_signal(signal.SIGINT)
    return scan.wait()


if __name__ == "__main__":
    sys.exit(main())
