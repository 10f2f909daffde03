"""Kept flows: every inbound one-way flow with its signs and class, as a Parquet file, where the config asks for it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from liveness.errors import LivenessError, UsageError
from liveness.flows.write import MEMORY_LIMIT
from liveness.passive.below import appending, opened, reading
from liveness.passive.engine import Finished
from liveness.passive.records import INBOUND, ROW_DTYPE, TWO_WAY
from liveness.passive.rules import CLASSES, Rules, signs_of
from liveness.sql import tables
from liveness.sql.connection import connect, duckdb_errors, first_line, limit_memory
from liveness.sql.text import dotted, quoted

NAME: Final = "flows.kept"
SPILL: Final = "spill"
COLUMNS: Final = ("start_ns", "local", "remote", "lport", "rport", "protocol", "packets", "bytes", "flags", "pattern")
_BATCH: Final = 1 << 18


class KeptFlows:
    """Gathers the flows of a run in a file of rows, and turns it into Parquet at the end."""

    def __init__(self, folder: Path, rules: Rules, interval_ns: int) -> None:
        """Begin with an empty file."""
        self._folder = folder
        self._rules = rules
        self._interval_ns = interval_ns
        with opened(folder) as found:
            found.remove(NAME)
            with appending(found, NAME):
                pass

    def append(self, finished: Finished) -> None:
        """Append an interval's inbound one-way flows, in order of key."""
        parts = [rows[(rows["marks"] & INBOUND != 0) & (rows["state"] & TWO_WAY == 0)] for rows in finished.rows]
        rows = np.concatenate(parts)
        order = np.lexsort([rows[name] for name in ("rport", "lport", "kind", "protocol", "remote", "local")])
        with opened(self._folder) as folder, appending(folder, NAME) as file:
            file.write(rows[order].tobytes())

    def write(self, path: Path) -> None:
        """Write the Parquet file. LivenessError if the disk refuses."""
        length = self._interval_ns
        with opened(self._folder) as folder, reading(folder, NAME) as file:
            rows = np.memmap(file, ROW_DTYPE, "r") if os.fstat(file.fileno()).st_size else np.empty(0, ROW_DTYPE)
        try:
            with self._own_folder() as own, closing(connect()) as connection:
                limit_memory(connection, own, MEMORY_LIMIT)
                for first in range(0, max(len(rows), 1), _BATCH):
                    batch = rows[first : first + _BATCH]
                    ours = ("in_start", "local", "remote", "lport", "rport", "protocol", "in_packets", "in_bytes",
                            "in_flags", "pattern")  # fmt: skip
                    tables.append(
                        connection, "flows", {name: batch[source] for name, source in zip(COLUMNS, ours, strict=True)}
                    )
                found = [pattern for (pattern,) in connection.execute("SELECT DISTINCT pattern FROM flows").fetchall()]
                connection.execute(
                    "CREATE TABLE patterns (pattern USMALLINT, signs VARCHAR[], rules INT[], class VARCHAR)"
                )
                connection.executemany(
                    "INSERT INTO patterns VALUES (?, ?, ?, ?)",
                    [
                        (
                            pattern,
                            signs_of(pattern),
                            [rule.number for rule in self._rules.matching(pattern)],
                            self._rules.class_of(pattern),
                        )
                        for pattern in found
                    ]
                    or [(0, [], [], CLASSES[-1])],
                )
                connection.execute(
                    f"COPY (SELECT make_timestamp_ns(start_ns // {length} * {length}) AS interval, "  # noqa: S608 - numbers
                    f"make_timestamp_ns(start_ns) AS start, {dotted('local::UINTEGER')} AS local, "
                    f"{dotted('remote::UINTEGER')} AS remote, lport, rport, protocol, packets, bytes, flags, "
                    f"signs, rules, class FROM flows JOIN patterns USING (pattern)) "
                    f"TO {quoted(f'{own}/{path.name}')} ({tables.PARQUET})"
                )
                with opened(path.parent) as run:
                    run.move(f"{self._folder.name}/{SPILL}/{path.name}", path.name)
        except duckdb_errors() as error:
            raise LivenessError(f"{path}: cannot write: {first_line(error)}") from error

    @contextmanager
    def _own_folder(self) -> Iterator[str]:
        """Make a folder for DuckDB, which follows links: no other user can write in it, or put another in its place."""
        with opened(self._folder) as folder:
            folder.remove_tree(SPILL)
            with folder.make_directory(SPILL, exist_ok=False) as made:
                if made.owner()[0] != os.geteuid():
                    raise LivenessError(f"{made.path}: another user has put this folder here")
                yield f"/proc/self/fd/{made.fileno()}"


def find_flows(path: Path, wanted: Mapping[str, object], limit: int) -> list[dict[str, object]]:
    """Return at most `limit` kept flows, in order of time. UsageError if the run kept none.

    `wanted` has the values of some of the columns `local`, `remote` and `lport`; None for any.
    """
    given = {column: value for column, value in wanted.items() if value is not None}
    condition = " AND ".join(f"{column} = ?" for column in given) or "true"
    file = path / "flows.parquet"
    if not file.is_file():
        raise UsageError(f"{path}: this run kept no flows: set keep_flows: true in its config and run it again")
    try:
        with closing(connect()) as connection:
            found = connection.execute(
                f"SELECT * FROM read_parquet({quoted(str(file))}) WHERE {condition} ORDER BY start, remote, lport "  # noqa: S608
                f"LIMIT {limit}",
                list(given.values()),
            )
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb_errors() as error:
        raise LivenessError(f"{file}: cannot read the kept flows: {first_line(error)}") from error
