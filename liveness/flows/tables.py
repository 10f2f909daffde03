"""Reader of tables of flows, by DuckDB: CSV, Parquet, Zeek's conn.log (TSV, JSON) and the output of Argus' ra.

DuckDB reads the open file, never a name, and fetches nothing from elsewhere. What cannot be read is counted.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.errors import UsageError, count_of
from liveness.flows.record import BATCH_RECORDS, FLOW_DTYPE, Flows, Notes
from liveness.flows.table_queries import OUR_COLUMNS, QUERIES, REQUIRED, Columns, csv_columns
from liveness.sql.connection import duckdb_errors, first_line, spilling
from liveness.sql.text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_NOTES: Final = 10
"""So many lines that cannot be read are named one by one."""


def read_table(path: Path, kind: str, notes: Notes, columns: Columns | None = None) -> Iterator[Flows]:
    """Yield the flows of a table in batches.

    `columns` gives, for CSV and Parquet, their names for some of ours, as in {"src": "srcaddr"}. UsageError for a file
    that cannot be read so, or without a column that is needed. Rows that cannot be read are counted.
    """
    make, names = QUERIES[kind]
    try:
        with path.open("rb") as file, spilling() as (connection, _):
            head = file.read(1 << 16)
            file.seek(0)
            source = f"/proc/{os.getpid()}/fd/{file.fileno()}"
            names = names or _own_names(connection, kind, (source, head), columns or {}, path)
            try:
                query = make(source, head, names)
            except UsageError as error:
                raise UsageError(f"{path}: {error}") from None
            yield from _batches(connection, kind, query, notes, str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot read these flows: {error.strerror}") from error
    except duckdb_errors() as error:
        raise UsageError(f"{path}: cannot be read as {kind}: {first_line(error)}") from error


def _own_names(
    connection: "DuckDBPyConnection", kind: str, file: tuple[str, bytes], given: Columns, path: Path
) -> Columns:
    """Return which of our columns a CSV or Parquet file has, and under which name."""
    unknown = sorted(set(given) - set(OUR_COLUMNS))
    if unknown:
        raise UsageError(f"columns: {unknown[0]!r} is no column of flows: name some of {', '.join(OUR_COLUMNS)}")
    source, head = file
    wanted = {ours: given.get(ours, ours) for ours in OUR_COLUMNS}
    theirs = csv_columns(head) if kind == "csv" else []
    if {wanted[ours] for ours in (*REQUIRED, *given)} <= set(theirs):
        return {ours: name for ours, name in wanted.items() if name in theirs}
    reader = "read_parquet({})" if kind == "parquet" else "read_csv({}, header = true, all_varchar = true)"
    rows = reader.format(quoted(source))
    theirs = [name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()]  # noqa: S608 - quoted
    names = {ours: name for ours, name in wanted.items() if name in theirs}
    missing = next((ours for ours in (*REQUIRED, *given) if ours not in names), None)
    if missing is not None:
        shown = ", ".join(theirs[:20]) or "none"
        raise UsageError(f"{path}: no column {wanted[missing]!r} for {missing}: it has {shown}: map it with --column")
    return names


def _batches(connection: "DuckDBPyConnection", kind: str, query: str, notes: Notes, name: str) -> Iterator[Flows]:
    """Yield a query's records in batches, in the file's order, and count those that cannot be."""
    connection.execute(f"CREATE TEMP TABLE read AS {query}")
    _note_rejects(connection, notes, name)
    # A line that is no JSON becomes a row of nothing.
    nothing = "coalesce(src_text, dst_text) IS NULL AND start_ns IS NULL AND protocol IS NULL"
    void_row = nothing if kind == "zeek-json" else "false"
    ((six, odd, void),) = connection.execute(
        "SELECT count(*) FILTER (six), count(*) FILTER (NOT six AND NOT whole AND NOT void), count(*) FILTER (void) "  # noqa: S608 - constants
        "FROM (SELECT "
        "coalesce(contains(src_text, ':') AND contains(dst_text, ':'), false) AS six, "
        f"{void_row} AS void, "
        "src IS NOT NULL AND dst IS NOT NULL AND start_ns IS NOT NULL AND protocol IS NOT NULL AS whole FROM read)"
    ).fetchall()
    for count, reason in ((six, "IPv6 records"), (odd, "rows without time, address or protocol")):
        if count:
            notes.undecoded[reason] += int(count)
    if void:
        notes.damage.append(f"{name}: {count_of(int(void), 'line')} cannot be read: left out")
    connection.execute(
        "CREATE TEMP TABLE exporters AS SELECT exporter, row_number() OVER (ORDER BY exporter) - 1 AS number "
        "FROM (SELECT DISTINCT exporter FROM read)"
    )
    named = connection.execute("SELECT exporter FROM exporters ORDER BY number").fetchall()
    numbers = np.array([notes.exporter(exporter or name) for (exporter,) in named], np.uint32)
    connection.execute(
        "CREATE TEMP TABLE good AS SELECT start_ns, coalesce(end_ns, start_ns) AS end_ns, packets, bytes, src, dst, "
        "sport, dport, protocol, flags, marks, number AS exporter FROM (SELECT rowid AS place, * FROM read) "
        "JOIN exporters USING (exporter) WHERE src IS NOT NULL AND dst IS NOT NULL AND start_ns IS NOT NULL "
        "AND protocol IS NOT NULL ORDER BY place"
    )
    ((rows,),) = connection.execute("SELECT count(*) FROM good").fetchall()
    for first in range(0, int(rows), BATCH_RECORDS):
        last = first + BATCH_RECORDS
        wanted = "SELECT * FROM good WHERE rowid >= ? AND rowid < ? ORDER BY rowid"
        got = connection.execute(wanted, (first, last)).fetchnumpy()
        flows = np.zeros(len(got["start_ns"]), FLOW_DTYPE)
        for column, values in got.items():
            flows[column] = numbers[np.asarray(values, np.int64)] if column == "exporter" else np.asarray(values)
        yield flows


def _note_rejects(connection: "DuckDBPyConnection", notes: Notes, name: str) -> None:
    """Note as damage the lines of a text file that have not the columns of the others."""
    ((kept,),) = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'"
    ).fetchall()
    if not kept:
        return
    lines = connection.execute(
        "SELECT line, min(line_byte_position) FROM reject_errors GROUP BY line ORDER BY line LIMIT ?", (MOST_NOTES + 1,)
    ).fetchall()
    for line, at in lines[:MOST_NOTES]:
        notes.damage.append(f"{name}: line {line:,} at byte {at - 1:,} cannot be read: left out")
    if len(lines) > MOST_NOTES:
        notes.damage.append(f"{name}: further lines cannot be read: left out")
