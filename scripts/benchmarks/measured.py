"""A command of liveness in a process of its own, with its times and its peak of memory."""

import os
import subprocess
import sys
import tempfile
import time
from typing import Final, NamedTuple

from liveness.errors import LivenessError

PROGRAM: Final = """
import re, sys
from pathlib import Path
from liveness.cli.main import run
peak = Path(sys.argv.pop(1))
try:
    run()
finally:
    peak.write_text(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
"""Runs the command and leaves its peak of memory. The peak from wait4(2) is at least what this process had as it forked
the command."""


class Measured(NamedTuple):
    """What a command printed and took."""

    output: bytes
    wall_s: float
    cpu_s: float
    peak_kib: int


def measured(*arguments: str) -> Measured:
    """Run ``liveness`` with arguments. LivenessError if it fails."""
    with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile() as peak:
        begun = time.monotonic()
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, peak.name, *arguments], stdout=output)
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise LivenessError(f"liveness {' '.join(arguments)} ended with exit code {child.returncode}")
        output.seek(0)
        return Measured(output.read(), wall_s, usage.ru_utime + usage.ru_stime, int(peak.read()))
