"""Surveys as Parquet with the columns of our CSV: ``round,time_s,address,probe,state``.

Addresses are written as dotted text; numbers are read too. DuckDB reads the open file, never a name.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liveness.errors import LivenessError, UsageError
from liveness.space.addresses import shown
from liveness.sql import tables
from liveness.sql.connection import duckdb_errors, first_line, spilling
from liveness.sql.text import dotted, number_of, quoted
from liveness.survey.csv_records import HEADER, LARGEST_ROUND, LARGEST_TIME_S, ROW, STATES, Rows, probe_index

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAGIC: Final = b"PAR1"
BATCH: Final = 1 << 18
_NUMBER: Final = f"coalesce(try_cast(address AS UINTEGER), {number_of('address::VARCHAR')})"


def is_parquet(head: bytes) -> bool:
    """Return whether a file that begins with `head` is Parquet."""
    return head.startswith(MAGIC)


def read_parquet_rows(path: Path, probes: list[str]) -> Iterator[Rows]:
    """Yield the rows of a file in batches; names of probes are added to `probes`. Errors name the file and the row."""
    try:
        with path.open("rb") as file, spilling() as (connection, _):
            source = f"read_parquet({quoted(f'/proc/self/fd/{file.fileno()}')})"
            names = [name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]  # noqa: S608
            missing = [name for name in HEADER if name not in names]
            if missing:
                raise UsageError(f"{path}: no column {missing[0]}: a survey has {', '.join(HEADER)}")
            states = ", ".join(map(quoted, STATES))
            connection.execute(
                "CREATE TABLE rows AS SELECT try_cast(round AS BIGINT) AS round, "  # noqa: S608 - constants and a quoted name
                "try_cast(time_s AS DOUBLE) AS time_s, "
                f"{_NUMBER} AS address, probe::VARCHAR AS probe, "
                f"list_position([{states}], state::VARCHAR) - 1 AS state FROM {source}"
            )
            numbers = _probe_numbers(connection, path, probes)
            ((count,),) = connection.execute("SELECT count(*) FROM rows").fetchall()
            for first in range(0, count, BATCH):
                yield _batch(connection, path, first, numbers)
    except duckdb_errors() as problem:
        raise LivenessError(f"{path}: not Parquet, or damaged: {first_line(problem)}") from problem
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror}") from problem


def _probe_numbers(connection: "DuckDBPyConnection", path: Path, probes: list[str]) -> dict[str, int]:
    """Return the index in `probes` of each name in the table."""
    numbers = {}
    query = "SELECT probe, min(rowid) FROM rows GROUP BY probe ORDER BY min(rowid)"
    for name, row in connection.execute(query).fetchall():
        try:
            numbers[name] = probe_index(name or "", probes)
        except UsageError:
            raise LivenessError(f"{path}: row {row:,}: probe {shown(str(name))} is not a probe") from None
    return numbers


def _batch(connection: "DuckDBPyConnection", path: Path, first: int, numbers: dict[str, int]) -> Rows:
    found: dict[str, Any] = connection.execute(
        "SELECT round, time_s, address, probe, state FROM rows WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
        (first, first + BATCH),
    ).fetchnumpy()
    rows = np.zeros(len(found["round"]), ROW)
    wrong = np.zeros(len(rows), np.bool_)
    limits = {"round": LARGEST_ROUND, "time_s": LARGEST_TIME_S, "address": 2**32, "state": len(STATES)}
    for name, limit in limits.items():
        column = found[name]
        values = np.ma.getdata(column)
        with np.errstate(invalid="ignore"):
            bad = np.ma.getmaskarray(column) | ~((values >= 0) & (values < limit))
        rows[name] = np.where(bad, 0, values)
        wrong |= bad
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        values_of_row = ",".join(str(found[name][at]) for name in HEADER)
        raise LivenessError(
            f"{path}: row {first + at:,}: {shown(values_of_row)} is not a round, time, address, probe and state"
        )
    rows["probe"] = [numbers[name] for name in found["probe"].tolist()]
    return rows


def encode_parquet(batches: Iterable[Rows], probes: Sequence[str]) -> Iterator[bytes]:
    """Yield the bytes of a Parquet file of all rows."""
    names = f"[{', '.join(map(quoted, probes))}]"
    states = f"[{', '.join(map(quoted, STATES))}]"
    with spilling() as (connection, spill):
        connection.execute(
            "CREATE TABLE rows (round INTEGER, time_s DOUBLE, address UINTEGER, probe INTEGER, state UTINYINT)"
        )
        for rows in batches:
            tables.append(connection, "rows", tables.fields(rows, HEADER))
        query = (
            f"SELECT round, time_s, {dotted('address')} AS address, {names}[probe + 1] AS probe, "  # noqa: S608 - constants
            f"{states}[state + 1] AS state FROM rows"
        )
        yield from tables.encoded(connection, query, tables.PARQUET, spill)
