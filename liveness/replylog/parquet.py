"""Parquet files of replies: their columns, and how a spool becomes one."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.fingerprints.table import NAMES, UNKNOWN
from liveness.errors import LivenessError
from liveness.files.atomic import sync_folder
from liveness.replies import NO_DATA, UNKNOWN_ATTEMPT, Kind, Tier
from liveness.replylog.spool import Spool, read_spool
from liveness.sql import tables
from liveness.sql.connection import connect, duckdb_errors, first_line, limit_memory
from liveness.sql.tables import PARQUET
from liveness.sql.text import literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SUFFIX: Final = ".parquet"
TEMPORARY: Final = ".tmp"

COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "time_ns": ("BIGINT", "when it was captured, ns since 1970 (UTC)"),
    "probe": ("VARCHAR", "the probe that it answers, e.g. tcp/443"),
    "attempt": ("UTINYINT", "which attempt it proves, from 0; null where it proves none"),
    "kind": ("VARCHAR", "what it is, e.g. syn-ack: echo-reply, syn-ack, rst, answer, payload, error, closed or acked"),
    "icmp_type": ("UTINYINT", "of errors; null elsewhere"),
    "icmp_code": ("UTINYINT", "of errors; null elsewhere"),
    "target": ("UINTEGER", "who was probed, as a number"),
    "source": ("UINTEGER", "who sent the reply, as a number"),
    "reply_ttl": ("UTINYINT", "the TTL with which it came in"),
    "quoted_ttl": ("UTINYINT", "the TTL in the header that an error quotes; null elsewhere"),
    "rtt_ns": ("BIGINT", "since the probe was sent, ns; null where unknown"),
    "tcp_window": ("USMALLINT", "as it is in the TCP header; null elsewhere"),
    "tcp_flags": ("UTINYINT", "CWR to FIN; null where it is not TCP"),
    "ip_id": ("USMALLINT", "the identification in its IP header"),
    "length": ("USMALLINT", "the total length of its IP packet, bytes"),
    "tier": ("VARCHAR", "strong: 32 bits of the cookie or more are proven; weak: fewer"),
    "protocol": ("VARCHAR", "of the data of a TCP service, unknown if no fingerprint knows it; null without data"),
    "data": ("BLOB", "its first bytes (talk.first_bytes); null where none are kept"),
}
"""The columns of a file in their order, each with its DuckDB type and its meaning."""

OPTIONAL: Final[frozenset[str]] = frozenset({"protocol", "data"})
"""Columns that files of older versions lack."""

_ERROR: Final = f"kind = {Kind.ERROR:d}"
_VALUES: Final = {
    "attempt": f"nullif(attempt, {UNKNOWN_ATTEMPT})",
    "icmp_type": f"CASE WHEN {_ERROR} THEN icmp_type END",
    "icmp_code": f"CASE WHEN {_ERROR} THEN icmp_code END",
    "quoted_ttl": f"CASE WHEN {_ERROR} THEN quoted_ttl END",
    "rtt_ns": "nullif(rtt_ns, -1)",
    "tcp_window": "CASE WHEN {tcp} THEN tcp_window END",
    "tcp_flags": "CASE WHEN {tcp} THEN tcp_flags END",
}


def _names(column: str, names: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, names))}][{column}::BIGINT + 1]"


def select_replies(table: str, spool: Spool) -> str:
    """Return the query that makes a file's columns of a spool that is registered as a table."""
    tcp = [str(place) for place, name in enumerate(spool.probes) if name.startswith("tcp/")]
    is_tcp = f"(probe IN ({', '.join(tcp)}) AND NOT {_ERROR})" if tcp else "false"
    names = spool.replies.dtype.names or ()
    protocol = f"CASE WHEN protocol <> {NO_DATA} THEN coalesce({_names('protocol', NAMES)}, {quoted(UNKNOWN)}) END"
    values = {name: value.format(tcp=is_tcp) for name, value in _VALUES.items()} | {
        "probe": _names("probe", spool.probes),
        "kind": _names("kind", [kind.label for kind in Kind]),
        "tier": _names("tier", [tier.name.lower() for tier in Tier]),
        "protocol": protocol if "protocol" in names else "NULL",
        "data": "CASE WHEN data <> '' THEN unhex(data) END" if "data" in names else "NULL",
    }
    columns = (f"({values.get(name, name)})::{kind} AS {name}" for name, (kind, _) in COLUMNS.items())
    return f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - made of constants and quoted probe names


def register(connection: "DuckDBPyConnection", table: str, spool: Spool) -> None:
    """Register a spool as a table of that name; its data is in hexadecimal, which DuckDB takes from Python."""
    names = spool.replies.dtype.names or ()
    columns = tables.fields(spool.replies, [name for name in names if name != "data"])
    if "data" in names:
        columns["data"] = _hexadecimal(spool.replies["data_bytes"], spool.replies["data"])
    tables.register(connection, table, columns)


def _hexadecimal(lengths: NDArray[np.uint16], data: NDArray[np.void]) -> NDArray[np.object_]:
    """Return the first `lengths` bytes of each row as text in hexadecimal; a row without data has the empty one."""
    texts = np.full(len(lengths), "", object)
    for row in np.flatnonzero(lengths).tolist():
        texts[row] = data[row].tobytes()[: int(lengths[row])].hex()
    return texts


def select_columns(connection: "DuckDBPyConnection", path: Path) -> str:
    """Return the list of all columns for a file, NULL for those of OPTIONAL that a file of an older version lacks."""
    wanted = ", ".join(sorted(OPTIONAL))
    try:
        connection.execute(f"SELECT {wanted} FROM read_parquet({quoted(literal(path))}) LIMIT 0")  # noqa: S608 - quoted
    except duckdb_errors():  # whatever else is wrong with the file shows when it is read
        lacking = OPTIONAL
    else:
        lacking = frozenset()
    return ", ".join(f"NULL::{kind} AS {name}" if name in lacking else name for name, (kind, _) in COLUMNS.items())


def convert_spool(path: Path) -> Path | None:
    """Convert a spool to a Parquet file in the same folder, and remove the spool once that is on disk; return the file.

    None if the spool holds no whole reply, or no longer exists. Raises LivenessError that names the file and leaves the
    spool as it is when the disk refuses or the spool is damaged.
    """
    target = path.with_suffix(SUFFIX)
    temporary = target.with_name(f".{target.name}{TEMPORARY}")
    try:
        spool = read_spool(path)
        if not len(spool.replies):
            path.unlink()
            return None
        with connect() as connection:
            connection.execute("SET threads = 1")
            limit_memory(connection)
            register(connection, "spool", spool)
            query = select_replies("spool", spool)
            connection.execute(f"COPY ({query}) TO {quoted(str(temporary))} ({PARQUET}, USE_TMP_FILE false)")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
        path.unlink()
    except FileNotFoundError:
        return None
    except duckdb_errors(OSError) as error:
        why = error.strerror if isinstance(error, OSError) else first_line(error)
        raise LivenessError(f"{path}: cannot turn this spool into Parquet: {why}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def count_rows(path: Path) -> int:
    """Return how many replies a Parquet file holds, from its footer. Raises LivenessError if it is damaged."""
    try:
        with connect() as connection:
            query = f"SELECT num_rows FROM parquet_file_metadata({quoted(str(path))})"  # noqa: S608 - quoted
            (row,) = connection.execute(query).fetchall()
    except duckdb_errors() as error:
        raise LivenessError(f"{path}: damaged: {first_line(error)}") from error
    return int(row[0])
