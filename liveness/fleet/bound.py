"""``python -m liveness.fleet.bound PID RUN COMMAND...``: run the scan of a run, and stop it if process PID has ended.

A scan whose runner was killed stops with a checkpoint: it is not left to itself. This process stays next to the scan,
because the kernel does not tell sudo, or a program with capabilities, that its parent has ended. Nor may a caller send
signals to sudo: so the process that holds the lock of the run gets them, which is the caller's once it has dropped its
rights.
"""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
NOT_FOUND: Final = 127
POLL_S: Final = 0.1
LOCK: Final = "lock"
"""The lock of a run, with the id of the process that scans."""


def holder_of(folder: Path, name: str = LOCK) -> int | None:
    """Return the id in a lock file while the kernel knows the lock as held by it: by default who scans a run."""
    try:
        path = folder / name
        pid, inode = int(path.read_text(encoding="ascii")), path.stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:  # such as: 1: FLOCK  ADVISORY  WRITE 827 fe:00:2654945 0 EOF
        _, kind, *fields = line.split()
        if kind == "FLOCK" and fields[2] == str(pid) and fields[3].rpartition(":")[2] == str(inode):
            return pid
    return None


def signal_scan(run: Path, number: int, child: "subprocess.Popen[bytes] | None" = None) -> bool:
    """Send a signal to the process that scans a run, or to the child that will do so; return whether that worked."""
    with suppress(ProcessLookupError, PermissionError):
        pid = holder_of(run)
        if pid is not None:
            os.kill(pid, number)
        elif child is not None:
            child.send_signal(number)
        return pid is not None or child is not None
    return False


def main(parent: int, run: Path, command: list[str]) -> NoReturn:
    """Run the command to its end; what this process gets as signals, it passes on as soon as the scan takes them."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the request
        sys.exit(128 + signal.SIGTERM)
    try:
        child = subprocess.Popen(command)
    except OSError as problem:
        sys.stderr.write(f"{command[0]}: cannot run this command: {problem.strerror}\n")
        sys.exit(NOT_FOUND)
    while True:
        with suppress(subprocess.TimeoutExpired):
            code = child.wait(POLL_S)
            sys.exit(128 - code if code < 0 else code)
        if asked and signal_scan(run, asked[0], child):
            del asked[0]


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
