"""Signals that end a scan before it has begun."""

import subprocess
import sys
from pathlib import Path

CODE = """
import os
import signal
from liveness.scan.interruption import Interruption, signals_noted
from liveness.compiling import display as compile_display

def display(text):
    print(repr(text), flush=True)
    if fails and not text:
        raise RuntimeError("reentrant call")

fails = {fails}
compile_display.show_on(display)
with signals_noted(Interruption(), lambda: print("discarded", flush=True)):
    compile_display.show(1, 3)
    os.kill(os.getpid(), signal.SIGTERM)
"""


def ended(code: str) -> tuple[int, list[str]]:
    """Run code in a process of its own; return its exit code and the lines that it has printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


def test_a_signal_while_kernels_are_compiled_erases_the_line_that_says_so() -> None:
    """The prompt of the shell must not follow it. The signal may come while the line is being written."""
    shown = ["'compiling kernels, once: 1 of 3'", "discarded", "''"]
    for fails in (False, True):
        assert ended(CODE.format(fails=fails)) == (143, shown)
