"""The log of a run whose hosts change with time: when each probe arrived at the far end, and what became of it."""

import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.lab.model.responder.state import LOG_COUNT, LOG_FIELDS, Model
from liveness.lab.source import RECORD_FOLDER

NAME: Final = "probes.log"
KEPT_ROWS: Final = 1 << 18
"""Rows that are kept in memory before they are written: 5 MB."""


class ProbeLog:
    """The rows of one run; they are appended to the file of an earlier session of the run."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._parts: list[NDArray[np.void]] = []
        self._rows = 0

    def take(self, model: Model) -> None:
        """Take the rows that the kernels have logged; write many at once. LivenessError if the disk refuses."""
        rows = rows_of(model)
        if len(rows):
            self._parts.append(rows)
            self._rows += len(rows)
            if self._rows >= KEPT_ROWS:
                self.write()

    def write(self) -> None:
        """Append all rows that are kept to the file. LivenessError if the disk refuses."""
        if not self._rows:
            return
        try:
            with Directory.open(self._run) as run:
                run.make_directory(RECORD_FOLDER).close()
                with os.fdopen(run.append_to(f"{RECORD_FOLDER}/{NAME}"), "ab") as file:
                    for part in self._parts:
                        file.write(part.tobytes())
        except OSError as problem:
            place = self._run / RECORD_FOLDER / NAME
            raise LivenessError(f"{place}: cannot write the lab's log of probes: {problem.strerror}") from problem
        self._parts.clear()
        self._rows = 0


def rows_of(model: Model) -> NDArray[np.void]:
    """Return the rows that the kernels have logged since the last call, and empty their log."""
    count = int(model.numbers[LOG_COUNT])
    model.numbers[LOG_COUNT] = 0
    rows = np.empty(count, LOG_FIELDS)
    rows["time_ns"] = model.log_ns[:count]
    rows["target"] = model.log_targets[:count]
    rows["delay_us"] = model.log_delays_us[:count]
    rows["probe"] = model.log_probes[:count]
    rows["outcome"] = model.log_outcomes[:count]
    return rows


def read_log(run: Path) -> NDArray[np.void]:
    """Return all rows of a run's log. LivenessError if there is none, or it was cut."""
    path = run / RECORD_FOLDER / NAME
    try:
        with Directory.open(run) as directory, os.fdopen(directory.open_file(f"{RECORD_FOLDER}/{NAME}"), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            rows: NDArray[np.void] = np.fromfile(file, LOG_FIELDS)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read the lab's log of probes: {problem.strerror}") from problem
    if rows.nbytes != size:
        raise LivenessError(f"{path}: {size:,} bytes are no whole number of rows: the log was cut")
    return rows
