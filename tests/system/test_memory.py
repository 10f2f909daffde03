"""Large arrays that are freed leave the process."""

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(("asked", "least", "most"), [("yes", 60, 64), ("no", 0, 10)])
def test_arrays_that_are_freed_go_back_to_the_system(asked: str, least: int, most: int) -> None:
    """Without the call most of the 63 MiB stay with the process: the test shows that the call is needed."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, asked], capture_output=True, text=True, check=True)
    assert least <= int(done.stdout) <= most
