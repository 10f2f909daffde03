"""Writes flows: as lines of CSV or JSON, and as CSV and Parquet files that this and other tools read back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from liveness.errors import LivenessError, UsageError
from liveness.files.atomic import replaced
from liveness.flows.record import Flows, Notes, empty
from liveness.space.addresses import format_address
from liveness.sql import tables
from liveness.sql.connection import duckdb_errors, first_line, spilling
from liveness.sql.text import dotted, quoted

NUMBERS: Final = ("sport", "dport", "protocol", "packets", "bytes", "flags")
HEADER: Final = ("start", "end", "src", "dst", *NUMBERS, "exporter")
SUFFIXES: Final = {".csv": "csv", ".parquet": "parquet"}
MEMORY_LIMIT: Final = "1GB"


def rows(flows: Flows, exporters: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yield records as rows of HEADER's columns, in Python's types."""
    times = [np.datetime_as_string(flows[name].astype("M8[ns]")).tolist() for name in ("start_ns", "end_ns")]
    columns: list[list[object]] = [[f"{text}Z" for text in texts] for texts in times]
    columns += [[format_address(address) for address in flows[name].tolist()] for name in ("src", "dst")]
    columns += [flows[name].tolist() for name in NUMBERS]
    columns.append([exporters[number] for number in flows["exporter"].tolist()])
    return zip(*columns, strict=True)


def csv_lines(flows: Flows, exporters: Sequence[str]) -> str:
    """Return records as lines of CSV, without the header."""
    quoted_names = [
        f'"{name.replace(chr(34), chr(34) * 2)}"' if set(name) & set(',"\n') else name for name in exporters
    ]
    return "".join(",".join(map(str, row)) + "\n" for row in rows(flows, quoted_names))


def json_lines(flows: Flows, exporters: Sequence[str]) -> str:
    """Return records as JSON, an object a line."""
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows(flows, exporters))


def write_flows(batches: Iterable[Flows], notes: Notes, path: Path) -> int:
    """Write flows to a CSV or Parquet file, by its suffix, in place of what is there; return how many.

    LivenessError if the disk refuses; what was there then stays.
    """
    kind = SUFFIXES.get(path.suffix)
    if kind is None:
        raise UsageError(f"{path}: flows are written as {' or '.join(SUFFIXES)}: give the file one of these suffixes")
    return _write_csv(batches, notes, path) if kind == "csv" else _write_parquet(batches, notes, path)


def _write_csv(batches: Iterable[Flows], notes: Notes, path: Path) -> int:
    count = 0
    with replaced(path) as file:
        file.write((",".join(HEADER) + "\n").encode())
        for flows in batches:
            file.write(csv_lines(flows, notes.exporter_names()).encode())
            count += len(flows)
    return count


def _write_parquet(batches: Iterable[Flows], notes: Notes, path: Path) -> int:
    """Gather the batches in a table of DuckDB's, which spills to disk, and let it write the file."""
    count = 0
    try:
        with spilling(MEMORY_LIMIT) as (connection, spill):
            connection.execute("SET preserve_insertion_order = true")
            columns = ("start_ns", "end_ns", "src", "dst", *NUMBERS, "exporter")
            for flows in chain([empty(0)], batches):  # so that the table is there, whatever comes
                tables.append(connection, "flows", tables.fields(flows, columns))
                count += len(flows)
            names = "([" + ", ".join(map(quoted, notes.exporter_names())) + "]::VARCHAR[])"
            query = (
                f'SELECT make_timestamp_ns(start_ns::BIGINT) AS start, make_timestamp_ns(end_ns::BIGINT) AS "end", '  # noqa: S608
                f"{dotted('src::UINTEGER')} AS src, {dotted('dst::UINTEGER')} AS dst, "
                f"{', '.join(NUMBERS)}, "
                f"{names}[exporter::BIGINT + 1] AS exporter FROM flows"
            )
            tables.write(connection, query, tables.PARQUET, spill, path)
    except duckdb_errors() as error:
        raise LivenessError(f"{path}: cannot write: {first_line(error)}") from error
    return count
