"""Queries of tables of flows: what each format's columns mean, as SQL that gives records under our names.

Each format is a query of text columns. What is the same for all of them, times, addresses, protocols and the second
record of a row with both directions, is written once.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from liveness.errors import UsageError
from liveness.flows.protocols import PROTOCOLS
from liveness.flows.record import MARK_REVERSE
from liveness.sql.text import number_of, quoted

Columns = Mapping[str, str]
"""Our names of columns and, for each, the file's name of it."""

OUR_COLUMNS: Final = (
    "start", "end", "src", "dst", "sport", "dport", "protocol", "packets", "bytes", "flags", "exporter",
)  # fmt: skip
"""The columns of our own CSV and Parquet files. Times are ISO 8601 with Z, or seconds since the epoch."""
REQUIRED: Final = ("start", "src", "dst", "protocol", "packets")
_KEEPS_REJECTS: Final = "auto_detect = false, store_rejects = true, rejects_limit = 1000"

_ZEEK: Final = {
    "start": "ts", "duration": "duration", "src": "id.orig_h", "sport": "id.orig_p", "dst": "id.resp_h",
    "dport": "id.resp_p", "protocol": "proto", "packets": "orig_pkts", "bytes": "orig_ip_bytes",
    "back_packets": "resp_pkts", "back_bytes": "resp_ip_bytes", "history": "history", "ip_number": "ip_proto",
}  # fmt: skip
_ZEEK_OPTIONAL: Final = "ip_number"
"""Zeek logs it since version 7.1: what is neither TCP, UDP nor ICMP has no other name than unknown_transport."""
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
        f"{_number(value['bytes'], 'UBIGINT')} AS bytes, src AS src_text, dst AS dst_text, {number_of('src')} AS src, "
        f"{number_of('dst')} AS dst, {_number(value['sport'], 'USMALLINT')} AS sport, "
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
    number = _protocol("protocol")
    if "ip_number" in have:
        number = f"coalesce({number}, try_cast(ip_number AS UTINYINT))"
    # Each value is computed in one place, and used by both directions: planning an expression takes DuckDB longer than
    # reading a small file.
    values = (
        f"SELECT *, {_time_ns('start')} AS start_ns, {number} AS number, "  # noqa: S608 - constants
        f"{_port('sport')} AS from_port, {_port('dport')} AS to_port, "
        f"{_number('packets', 'UBIGINT')} AS sent, {_number('bytes', 'UBIGINT')} AS sent_bytes, "
        f"{_number('back_packets', 'UBIGINT')} AS answered, {_number('back_bytes', 'UBIGINT')} AS answered_bytes, "
        f"{number_of('src')} AS source, {number_of('dst')} AS destination, {flags[0]} AS sent_flags, "
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
    columns = zeek_columns(head)
    names = {ours: name for ours, name in names.items() if name in columns or ours != _ZEEK_OPTIONAL}
    rows = (
        f"read_csv({quoted(source)}, delim = '\t', quote = '', escape = '', comment = '#', header = false, "
        f"nullstr = '-', {_KEEPS_REJECTS}, columns = {_text_columns(columns)})"
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
