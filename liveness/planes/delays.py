"""Round-trip times of an imported survey: the row of each address that replied, and the time that its reply took.

A survey that is run here has them in its log of replies, if its config asks for one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.directory import Directory

FOLDER: Final = "delays"
DELAY: Final = np.dtype([("row", "<u4"), ("rtt_us", "<u4")])
"""A positive reply of an address itself: its row in the planes, and the time since its probe."""
BATCH: Final = 1 << 20
LARGEST_US: Final = 2**32 - 1

Delays = NDArray[np.void]


def delays_name(probe: str) -> str:
    """Return the name of the file of round-trip times below the run directory."""
    return f"{FOLDER}/{probe.replace('/', '-')}.rtt"


def read_delays(run: Path, probe: str, addresses: int) -> Iterator[Delays]:
    """Yield the round-trip times of a probe in batches. LivenessError if the file is missing or damaged."""
    path = run / delays_name(probe)
    try:
        with Directory.open(run) as directory, open(directory.open_file(delays_name(probe)), "rb") as file:  # noqa: PTH123
            offset = 0
            while content := file.read(BATCH * DELAY.itemsize):
                if len(content) % DELAY.itemsize:
                    raise LivenessError(f"{path}: {offset + len(content):,} bytes, where each reply takes 8")
                delays = np.frombuffer(content, DELAY)
                if delays["row"].max() >= addresses:
                    raise LivenessError(f"{path}: offset {offset:,}: a row above {addresses:,}, the survey's addresses")
                offset += len(content)
                yield delays
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror}") from problem
