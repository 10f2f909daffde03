"""The figures of every address as a file of columns, CSV or Parquet by its suffix."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.results import AddressSink
from liveness.analysis.survey.sequences import PLAIN, REPAIRED, AddressFigures, availability, mean_up
from liveness.errors import LivenessError, UsageError
from liveness.sql import tables
from liveness.sql.connection import duckdb_errors, first_line, spilling
from liveness.sql.tables import PARQUET
from liveness.sql.text import dotted, quoted

SUFFIXES: Final = {".csv": "FORMAT csv, HEADER", ".parquet": PARQUET}
COLUMNS: Final = "probe, sent, positive, periods, A, U, median_up_s, periods_repaired, A_repaired, U_repaired"


def check_suffix(path: Path) -> None:
    """Refuse a file of another kind before the work begins. UsageError."""
    if path.suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: addresses are written as {' or '.join(SUFFIXES)}: give the file one of these suffixes"
        )


@contextmanager
def address_file(path: Path, addresses: NDArray[np.uint32], interval_s: float) -> Iterator[AddressSink]:
    """Give a sink for `analyze_survey`; at its end the file is at `path`, whole. LivenessError if the disk refuses."""
    check_suffix(path)
    try:
        with spilling() as (connection, spill):

            def take(probe: str, first: int, figures: AddressFigures) -> None:
                part = _columns(figures, addresses[first : first + len(figures.sent)], interval_s)
                tables.append(connection, "figures", part, f"*, {quoted(probe)} AS probe")

            yield take
            query = f"SELECT {dotted('address')} AS address, {COLUMNS} FROM figures"  # noqa: S608 - names of ours
            tables.write(connection, query, SUFFIXES[path.suffix], spill, path)
    except duckdb_errors() as problem:
        raise LivenessError(f"{path}: cannot write: {first_line(problem)}") from problem


def _columns(
    figures: AddressFigures, addresses: NDArray[np.uint32], interval_s: float
) -> dict[str, NDArray[np.uint32] | NDArray[np.float64]]:
    return {
        "address": addresses,
        "sent": figures.sent,
        "positive": figures.positive,
        "periods": np.ascontiguousarray(figures.periods[:, PLAIN]),
        "A": availability(figures, PLAIN),
        "U": mean_up(figures, PLAIN),
        "median_up_s": figures.median_rounds[:, PLAIN] * interval_s,
        "periods_repaired": np.ascontiguousarray(figures.periods[:, REPAIRED]),
        "A_repaired": availability(figures, REPAIRED),
        "U_repaired": mean_up(figures, REPAIRED),
    }
