"""Tables in DuckDB: filled from arrays batch by batch, and written as files."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.files.atomic import replaced
from liveness.sql.text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARQUET: Final = "FORMAT parquet, COMPRESSION zstd"
COPIED_BYTES: Final = 1 << 20

Columns = Mapping[str, NDArray[Any]]


def register(connection: "DuckDBPyConnection", table: str, columns: Columns) -> None:
    """Register arrays as the columns of a table of that name.

    Fields of a structured array are copied: older versions of DuckDB (1.2) read the bytes between the values of a field
    as values.
    """
    connection.register(table, {name: np.ascontiguousarray(values) for name, values in columns.items()})


def fields(rows: NDArray[np.void], names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return fields of a structured array as columns."""
    return {name: rows[name] for name in names}


def append(connection: "DuckDBPyConnection", table: str, columns: Columns, selected: str = "*") -> None:
    """Append arrays to a table, which the first call makes; `selected` is an SQL list of what goes into it."""
    register(connection, "appended", columns)
    source = f"SELECT {selected} FROM appended"  # noqa: S608 - names of columns of ours
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {source} LIMIT 0")
    connection.execute(f"INSERT INTO {table} {source}")
    connection.unregister("appended")


def encoded(connection: "DuckDBPyConnection", query: str, options: str, spill: Path) -> Iterator[bytes]:
    """Yield the bytes of the file into which DuckDB writes a query; it passes through the private directory `spill`."""
    temporary = spill / "encoded"
    connection.execute(f"COPY ({query}) TO {quoted(str(temporary))} ({options})")
    with temporary.open("rb") as file:
        while content := file.read(COPIED_BYTES):
            yield content


def write(connection: "DuckDBPyConnection", query: str, options: str, spill: Path, path: Path) -> None:
    """Write a query's rows as the file `path`, in place of what is there."""
    with replaced(path) as file:
        file.writelines(encoded(connection, query, options, spill))
