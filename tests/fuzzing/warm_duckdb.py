"""One DuckDB for all mutants: a reader that opens its own takes twenty milliseconds for that alone.

Each reader gets an empty database in memory and a connection of its own. Settings of the whole instance are made once,
to what the readers set; those that a reader makes are not repeated. Every hundredth reader gets an instance of its own,
with its settings and its threads.
"""

import sys
from typing import Any, Final, Self

OWN_EVERY: Final = 100
SETTINGS: Final = "SET threads = 1; SET memory_limit = '512MB'; SET temp_directory = ''"
NO_CACHE: Final = "SET enable_external_file_cache = false"
"""DuckDB would keep parts of files and look only at their times. Older versions have no such setting."""


class Connection:
    """A connection to an empty database of the instance that stays open."""

    def __init__(self, cursor: Any, name: str) -> None:  # noqa: ANN401 - a connection: its type would load DuckDB
        self._cursor, self._name = cursor, name
        cursor.execute(f"ATTACH ':memory:' AS {name}; USE {name}")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every method of a connection
        return getattr(self._cursor, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, query: Any, *arguments: Any) -> Any:  # noqa: ANN401 - as DuckDB has it
        """Run a query; settings stay as they are."""
        settings = isinstance(query, str) and query.startswith("SET ")
        return self._cursor if settings else self._cursor.execute(query, *arguments)

    def close(self) -> None:
        """Drop the database. What happens twice, or to an instance that an error has ended, has no effect."""
        import duckdb  # noqa: PLC0415 - loaded only where readers use it

        try:
            self._cursor.execute(f"USE memory; DETACH {self._name}")
        except duckdb.Error:
            return
        finally:
            self._cursor.close()


class Instance:
    """What stands in for `duckdb.connect`, in a process that ends with its campaign."""

    def __init__(self) -> None:
        """Open the instance."""
        import duckdb  # noqa: PLC0415 - as above

        self._duckdb, self._connect = duckdb, duckdb.connect
        self._opened = 0
        self._open()

    def connect(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as DuckDB has it
        """Return a connection, as `duckdb.connect` does."""
        self._opened += 1
        if self._opened % OWN_EVERY == 0:
            return self._connect(*arguments, **options)
        name = f"database{self._opened}"
        try:
            return Connection(self._shared.cursor(), name)
        except self._duckdb.Error:  # a fatal error of an earlier reader has ended the instance
            self._open()
            return Connection(self._shared.cursor(), name)

    def _open(self) -> None:
        self._shared = self._connect(":memory:", config={"autoload_known_extensions": False})
        self._shared.execute(SETTINGS)
        try:
            self._shared.execute(NO_CACHE)
        except self._duckdb.Error:
            return


def keep_open() -> None:
    """Let readers of this process share an instance, if they have loaded DuckDB."""
    if "duckdb" in sys.modules:
        sys.modules["duckdb"].connect = Instance().connect  # type: ignore[attr-defined]
