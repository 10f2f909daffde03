"""Targets that a run left out because no route leads to them: they were not probed, and are no misses.

A run that begins without them does not list them among its targets. But all shards of a census must have one list, and
routes change while a run goes on: what is left out then is kept in a file of its own.
"""

import os
from pathlib import Path
from typing import Final

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.space.intervals import Intervals
from liveness.space.prefixes import read_stream

LEFT_OUT_FILE: Final = "left-out.txt"


def load_left_out(run: Path) -> Intervals:
    """Return the targets that a run left out. LivenessError names the file and the line if it is damaged."""
    path = run / LEFT_OUT_FILE
    try:
        with Directory.open(run) as files, os.fdopen(files.open_file(LEFT_OUT_FILE), "rb") as stream:
            return read_stream(stream, str(path))
    except FileNotFoundError:
        return Intervals.empty()
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read what was left out: {problem.strerror}") from problem


def add_left_out(run: Path, targets: Intervals) -> None:
    """Add targets to those that a run left out. LivenessError names the file if it cannot be written."""
    united = load_left_out(run).union(targets)
    if not len(united):
        return
    try:
        with Directory.open(run) as files:
            files.write(LEFT_OUT_FILE, "".join(f"{entry}\n" for entry in united.entries()).encode())
    except OSError as problem:
        raise LivenessError(f"{run / LEFT_OUT_FILE}: cannot write what was left out: {problem.strerror}") from problem
