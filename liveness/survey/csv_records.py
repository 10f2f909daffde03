"""Surveys as CSV with the columns ``round,time_s,address,probe,state``: a line for each address and round sent."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UsageError
from liveness.probes.registry import probe_named
from liveness.replies import CONTROL
from liveness.space.addresses import format_address, parse_address, shown

HEADER: Final = ("round", "time_s", "address", "probe", "state")
SILENT, POSITIVE, NEGATIVE, LATE = range(4)
STATES: Final = ("silent", "positive", "negative", "late")
BATCH: Final = 1 << 16
ROW: Final = np.dtype([("round", "<i8"), ("time_s", "<f8"), ("address", "<u4"), ("probe", "<i4"), ("state", "u1")])
"""`probe` is the index of a name in the list that grows while a file is read."""
LARGEST_ROUND: Final = 2**20
LARGEST_TIME_S: Final = 2.0**32

Rows = NDArray[np.void]


def is_csv(head: bytes) -> bool:
    """Return whether a file that begins with `head` has this header."""
    return head.startswith(",".join(HEADER).encode())


def read_rows(path: Path, probes: list[str]) -> Iterator[Rows]:
    """Yield the rows of a file in batches; names of probes are added to `probes`. Errors name file, line and value."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            if tuple(next(lines, ())) != HEADER:
                raise UsageError(f"{path}:1: the header is not {','.join(HEADER)}")
            number = 1
            while batch := list(islice(lines, BATCH)):
                found = np.array([_row(cells, path, number + i, probes) for i, cells in enumerate(batch, 1)], ROW)
                number += len(batch)
                yield found
    except (UnicodeDecodeError, csv.Error) as problem:
        raise LivenessError(f"{path}: not text of this format: {problem}") from problem
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror}") from problem


def _row(cells: list[str], path: Path, line: int, probes: list[str]) -> tuple[int, float, int, int, int]:
    if len(cells) != len(HEADER):
        raise LivenessError(f"{path}:{line}: {len(cells)} values, where the header has {len(HEADER)}")
    number, time_s, address, probe, state = cells
    try:
        row = int(number), float(time_s), parse_address(address), probe_index(probe, probes), STATES.index(state)
    except (ValueError, UsageError):  # UsageError: there is no such probe
        row = None
    if row is None or not 0 <= row[0] < LARGEST_ROUND or not 0 <= row[1] < LARGEST_TIME_S:
        what = "a round, time, address, probe and state"
        raise LivenessError(f"{path}:{line}: {shown(','.join(cells))} is not {what}")
    return row


def probe_index(name: str, probes: list[str]) -> int:
    """Return the index of a probe in a list of names, to which it is added. UsageError for what is no probe."""
    if name not in probes:
        probes.append(CONTROL if name == CONTROL else probe_named(name).name)
    return probes.index(name)


def encode_rows(rows: Rows, probes: list[str]) -> str:
    """Return rows as lines, without the header."""
    columns = (rows[name].tolist() for name in HEADER)
    return "".join(
        f"{number},{time_s:.3f},{format_address(address)},{probes[probe]},{STATES[state]}\n"
        for number, time_s, address, probe, state in zip(*columns, strict=True)
    )
