"""Large arrays that are freed leave the process."""

import subprocess
import sys

PROGRAM = """
import sys
import numpy as np
from liveness.system.memory import return_large_arrays

def resident_kib():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])

if sys.argv[1] == "yes":
    return_large_arrays()
large = np.ones(30 << 20, np.uint8)
del large  # from here on the C library cuts smaller arrays from its heap
arrays = [np.ones(1 << 20, np.uint8) for _ in range(64)]
before = resident_kib()
del arrays[:-1]  # the last one keeps the heap from shrinking
print((before - resident_kib()) >> 10)
"""


def freed_mib(asked: str) -> int:
    """Return by how much the resident memory of a program shrinks; its own pages that come in meanwhile count, too."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, asked], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_arrays_that_are_freed_go_back_to_the_system() -> None:
    assert 60 <= freed_mib("yes") <= 64


def test_without_the_call_most_of_them_stay() -> None:
    assert freed_mib("no") <= 10, "the call is needed"
