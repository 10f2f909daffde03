"""Connections of DuckDB, their limits, and their errors as one line."""

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liveness.sql.text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT: Final = "512MB"

_connections: "Final[weakref.WeakSet[DuckDBPyConnection]]" = weakref.WeakSet()
"""All that are open in this process."""


def connect() -> "DuckDBPyConnection":
    """Return a DuckDB in memory that loads no extension and fetches nothing."""
    import duckdb  # noqa: PLC0415 - only those who keep or query a log wait for it to load

    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    _connections.add(connection)
    return connection


def limit_memory(connection: "DuckDBPyConnection", spill: str | Path = "", memory: str = MEMORY_LIMIT) -> None:
    """Limit the memory of a connection. What exceeds it goes to the directory `spill`; without one the query fails."""
    connection.execute(f"SET memory_limit = {quoted(memory)}; SET temp_directory = {quoted(str(spill))}")


@contextmanager
def spilling(memory: str = MEMORY_LIMIT) -> Iterator[tuple["DuckDBPyConnection", Path]]:
    """Give a DuckDB in bounded memory, and the private directory (mode 0700) into which it spills."""
    with tempfile.TemporaryDirectory(prefix="liveness-") as spill, connect() as connection:
        limit_memory(connection, spill, memory)
        yield connection, Path(spill)


def stop_queries() -> None:
    """End the queries of all connections soon, with an error; another thread may call this."""
    import duckdb  # noqa: PLC0415 - as above

    for connection in list(_connections):
        with suppress(duckdb.ConnectionException):  # it was closed already
            connection.interrupt()


def duckdb_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Return what a query of a damaged file raises: errors of DuckDB, that of a message that is no text, and others.

    DuckDB quotes names that a file holds as they are.
    """
    import duckdb  # noqa: PLC0415 - as above

    return duckdb.Error, UnicodeDecodeError, *others


def first_line(error: Exception) -> str:
    """Return an error of a query as one line, without its drawing of the place in the query."""
    text = error.object.decode("utf-8", "backslashreplace") if isinstance(error, UnicodeDecodeError) else str(error)
    return " ".join(text.partition("\n\nLINE ")[0].split())
