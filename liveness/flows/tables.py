"""Reader of tables of flows, by DuckDB: CSV, Parquet, Zeek's conn.log (TSV, JSON) and the output of Argus' ra.

Each format is a query of text columns under our names. What is the same for all, times, addresses and counting what
cannot be read, is done once. DuckDB reads the open file, never a name, and fetches nothing from elsewhere.
"""

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.errors import UsageError, count_of
from liveness.flows.protocols import PROTOCOLS
from liveness.flows.record import BATCH_RECORDS, FLOW_DTYPE, MARK_REVERSE, Flows, Notes
from liveness.replylog.parquet import connect, duckdb_errors, first_line, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Columns = Mapping[str, str]
"""Our names of columns and, for each, the file's name of it."""

OUR_COLUMNS: Final = (
    "start", "end", "src", "dst", "sport", "dport", "protocol", "packets", "bytes", "flags", "exporter",
)  # fmt: skip
"""The columns of our own CSV and Parquet files. Times are ISO 8601 with Z, or seconds since the epoch."""
REQUIRED: Final = ("start", "src", "dst", "protocol", "packets")
MEMORY_LIMIT: Final = "512MB"
MOST_NOTES: Final = 10
"""So many lines that cannot be read are named one by one."""
_KEEPS_REJECTS: Final = "auto_detect = false, store_rejects = true, rejects_limit = 1000"

_ZEEK: Final = {
    "start": "ts", "duration": "duration", "src": "id.orig_h", "sport": "id.orig_p", "dst": "id.resp_h",
    "dport": "id.resp_p", "protocol": "proto", "packets": "orig_pkts", "bytes": "orig_ip_bytes",
    "back_packets": "resp_pkts", "back_bytes": "resp_ip_bytes", "history": "history",
}  # fmt: skip
_ARGUS: Final = {
    "start": "StartTime", "end": "LastTime", "src": "SrcAddr", "sport": "Sport", "dst": "DstAddr", "dport": "Dport",
    "protocol": "Proto", "packets": "SrcPkts", "bytes": "SrcBytes", "back_packets": "DstPkts", "back_bytes": "DstBytes",
}  # fmt: skip
ARGUS_COLUMNS: Final = "stime ltime proto saddr sport dir daddr dport spkts dpkts sbytes dbytes state"
"""The columns that ra prints: ra -r FILE -c, -u -n -s COLUMNS."""

_ZEEK_ICMP: Final = "({sport} & 255) * 256 + ({dport} & 255)"
"""ICMP's type * 256 + code: Zeek's ports are type and code."""
_ARGUS_ICMP: Final = "({sport} & 255) * 256 + ({sport} >> 8)"
"""ra prints both as one port, in the byte order of the machine that saw them."""
_HISTORY_FLAGS: Final = {"s": 0x02, "h": 0x12, "a": 0x10, "d": 0x18, "f": 0x11, "r": 0x04}
"""The TCP flags of each letter of Zeek's history; capitals are the originator's."""


def _address(column: str) -> str:
    """Return the SQL of a dotted address as a number; null for anything else."""
    parts = (f"try_cast(split_part({column}, '.', {i + 1}) AS UTINYINT)::UBIGINT << {24 - 8 * i}" for i in range(4))
    dotted = rf"regexp_full_match({column}, '\d{{1,3}}(\.\d{{1,3}}){{3}}')"
    return f"CASE WHEN {dotted} THEN ({' | '.join(f'({part})' for part in parts)})::UINTEGER END"


def _time_ns(column: str) -> str:
    """Return the SQL of a time in ns: ISO 8601 in UTC, or seconds since the epoch."""
    text = rf"regexp_replace(replace({column}, 'T', ' '), '(Z|[+-]00:?00)$', '')"
    seconds = f"try_cast(try_cast({column} AS DECIMAL(20, 9)) * 1000000000 AS BIGINT)"
    return f"coalesce({seconds}, epoch_ns(try_cast({text} AS TIMESTAMP_NS)))"


def _protocol(column: str) -> str:
    names = " ".join(f"WHEN '{name}' THEN {number}" for name, number in PROTOCOLS.items())
    return f"coalesce(try_cast({column} AS UTINYINT), CASE lower({column}) {names} END)"


def _number(column: str, kind: str) -> str:
    return f"coalesce(try_cast({column} AS {kind}), 0)"


def _history_flags(letters: str) -> str:
    """Return the SQL of the flags of one side's letters in a history."""
    found = (
        f"CASE WHEN contains(history, '{char}') THEN {_HISTORY_FLAGS[char.lower()]} ELSE 0 END" for char in letters
    )
    return f"CASE WHEN lower(protocol) = 'tcp' THEN {' | '.join(f'({each})' for each in found)} ELSE 0 END"


def _select(columns: Columns, rows: str) -> str:
    """Return a query of a file's columns as text under our names."""
    names = ", ".join(
        f'"{theirs.replace(chr(34), chr(34) * 2)}"::VARCHAR AS "{ours}"' for ours, theirs in columns.items()
    )
    return f"SELECT {names} FROM {rows}"  # noqa: S608 - quoted names


def _one_way(text: str, have: Columns) -> str:
    """Return the query of records over one of text columns that have a direction a row."""
    value = {name: name if name in have else "NULL" for name in (*OUR_COLUMNS, "duration", "first_flags")}
    end = _time_ns('"end"') if "end" in have else "NULL::BIGINT"
    return (
        f"SELECT {_time_ns('start')} AS start_ns, {end} AS end_ns, {_number('packets', 'UBIGINT')} AS packets, "  # noqa: S608
        f"{_number(value['bytes'], 'UBIGINT')} AS bytes, src AS src_text, dst AS dst_text, {_address('src')} AS src, "
        f"{_address('dst')} AS dst, {_number(value['sport'], 'USMALLINT')} AS sport, "
        f"{_number(value['dport'], 'USMALLINT')} AS dport, {_protocol('protocol')} AS protocol, "
        f"{_number(value['flags'], 'UTINYINT')} AS flags, 0 AS marks, "
        f"coalesce({value['exporter']}, '')::VARCHAR AS exporter FROM ({text})"
    )


def _port(column: str) -> str:
    """Return the SQL of a port, decimal or, as ra prints some, hexadecimal; 0 where there is none."""
    return f"coalesce(try_cast({column} AS INTEGER) & 65535, 0)"


def _both_ways(text: str, have: Columns, icmp_kind: str) -> str:
    """Return the query of records, two for a row with packets of both directions.

    `icmp_kind` is the SQL of ICMP's type * 256 + code, of sport and dport.
    """
    if "duration" in have:
        lasted = "try_cast(duration AS DECIMAL(20, 9)) * 1000000000"
        end = f"coalesce(try_cast(start_ns + {lasted} AS BIGINT), start_ns)"
    else:
        end = _time_ns('"end"')
    flags = [_history_flags(letters) if "history" in have else "0" for letters in ("SHADFR", "shadfr")]
    # Each value is computed in one place, and used by both directions: planning an expression takes DuckDB longer than
    # reading a small file.
    values = (
        f"SELECT *, {_time_ns('start')} AS start_ns, {_protocol('protocol')} AS number, "  # noqa: S608 - constants
        f"{_port('sport')} AS from_port, {_port('dport')} AS to_port, "
        f"{_number('packets', 'UBIGINT')} AS sent, {_number('bytes', 'UBIGINT')} AS sent_bytes, "
        f"{_number('back_packets', 'UBIGINT')} AS answered, {_number('back_bytes', 'UBIGINT')} AS answered_bytes, "
        f"{_address('src')} AS source, {_address('dst')} AS destination, {flags[0]} AS sent_flags, "
        f"{flags[1]} AS answered_flags FROM ({text})"
    )
    kind = f"CASE WHEN number = 1 THEN {icmp_kind.format(sport='from_port', dport='to_port')} END"
    rows = f"SELECT *, {kind} AS kind, {end} AS end_ns FROM ({values})"  # noqa: S608 - made of constants
    answer = "kind - CASE kind // 256 WHEN 8 THEN 2048 WHEN 13 THEN -256 WHEN 17 THEN -256 ELSE 0 END"
    sides = (
        ("sent", "sent_bytes", "src", "dst", "source", "destination", "from_port", "to_port", "kind", "sent_flags", 0),
        ("answered", "answered_bytes", "dst", "src", "destination", "source", "to_port", "from_port", answer,
         "answered_flags", MARK_REVERSE),
    )  # fmt: skip
    queries = [
        f"SELECT start_ns, end_ns, {packets} AS packets, {size} AS bytes, {src_text} AS src_text, "  # noqa: S608
        f"{dst_text} AS dst_text, {src} AS src, {dst} AS dst, "
        f"(CASE WHEN number = 1 THEN 0 ELSE {sport} END)::USMALLINT AS sport, "
        f"(CASE WHEN number = 1 THEN {icmp} ELSE {dport} END)::USMALLINT AS dport, number AS protocol, "
        f"{flag} AS flags, {marks} AS marks, '' AS exporter FROM rows "
        f"WHERE {packets} > 0" + ("" if marks else " OR answered = 0")
        for packets, size, src_text, dst_text, src, dst, sport, dport, icmp, flag, marks in sides
    ]
    return f"WITH rows AS NOT MATERIALIZED ({rows}) {' UNION ALL '.join(queries)}"


def csv_columns(head: bytes) -> list[str]:
    """Return the columns that a header line with commas names; none if they are not distinct names."""
    try:
        columns = next(csv.reader(io.StringIO(head.decode("utf-8-sig", "replace"), newline="")), [])
    except csv.Error:
        return []
    if any(not name or "\n" in name or "\r" in name for name in columns):
        return []
    return columns if len({name.casefold() for name in columns}) == len(columns) else []


def _text_columns(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in names) + "}"


def _csv_rows(source: str, head: bytes, names: Columns, guess: str) -> str:
    """Return the SQL of a CSV file's rows. Only if commas do not give its columns, DuckDB guesses, as `guess` says.

    A guess looks at all the first lines: one that is cut short would change what the others are taken for.
    """
    columns = csv_columns(head)
    if set(names.values()) <= set(columns):
        return (
            f"read_csv({quoted(source)}, header = true, delim = ',', quote = '\"', escape = '\"', {_KEEPS_REJECTS}, "
            f"columns = {_text_columns(columns)})"
        )
    return f"read_csv({quoted(source)}, {guess})"


def _csv(source: str, head: bytes, names: Columns) -> str:
    rows = _csv_rows(source, head, names, "header = true, all_varchar = true")
    return _one_way(_select(names, rows), names)


def _parquet(source: str, _head: bytes, names: Columns) -> str:
    return _one_way(_select(names, f"read_parquet({quoted(source)})"), names)


def zeek_columns(head: bytes) -> list[str]:
    """Return the columns that a Zeek log's #fields line names; none if it has no such line."""
    for line in head.decode("utf-8", "replace").splitlines():
        if line.startswith("#fields\t"):
            return line.split("\t")[1:]
    return []


def _zeek_tsv(source: str, head: bytes, names: Columns) -> str:
    rows = (
        f"read_csv({quoted(source)}, delim = '\t', quote = '', escape = '', comment = '#', header = false, "
        f"nullstr = '-', {_KEEPS_REJECTS}, columns = {_text_columns(zeek_columns(head))})"
    )
    return _both_ways(_select(names, rows), names, _ZEEK_ICMP)


def _zeek_json(source: str, _head: bytes, names: Columns) -> str:
    rows = (
        f"read_json({quoted(source)}, format = 'newline_delimited', ignore_errors = true, "
        f"columns = {_text_columns(names.values())})"
    )
    return _both_ways(_select(names, rows), names, _ZEEK_ICMP)


def _argus(source: str, head: bytes, names: Columns) -> str:
    columns = csv_columns(head)
    missing = [name for name in names.values() if columns and name not in columns]
    if missing:
        raise UsageError(f"no column {missing[0]!r}: print it with ra -r FILE -c, -u -n -s {ARGUS_COLUMNS}")
    rows = _csv_rows(source, head, names, "header = true, all_varchar = true, delim = ','")
    return _both_ways(_select(names, rows), names, _ARGUS_ICMP)


QUERIES: Final[dict[str, tuple[Callable[[str, bytes, Columns], str], Columns]]] = {
    "csv": (_csv, {}),
    "parquet": (_parquet, {}),
    "zeek-tsv": (_zeek_tsv, _ZEEK),
    "zeek-json": (_zeek_json, _ZEEK),
    "argus-csv": (_argus, _ARGUS),
}
"""For each kind of table the query of its records, and the columns that it always has."""


def read_table(path: Path, kind: str, notes: Notes, columns: Columns | None = None) -> Iterator[Flows]:
    """Yield the flows of a table in batches.

    `columns` gives, for CSV and Parquet, their names for some of ours, as in {"src": "srcaddr"}. UsageError for a file
    that cannot be read so, or without a column that is needed. Rows that cannot be read are counted.
    """
    make, names = QUERIES[kind]
    try:
        with (
            path.open("rb") as file,
            tempfile.TemporaryDirectory(prefix="liveness-") as spill,
            closing(connect()) as connection,
        ):
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET temp_directory = {quoted(spill)}")
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
