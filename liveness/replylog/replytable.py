"""The replies of a log as tables to query: views over its Parquet files and spools, without access to other files."""

import re
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

from liveness.errors import LivenessError, UsageError
from liveness.replylog import parquet, spool
from liveness.replylog.parquet import COLUMNS
from liveness.replylog.runlog import REPLIES
from liveness.runs.rundir import MANIFEST_FILE
from liveness.sql.connection import connect, duckdb_errors, first_line, limit_memory
from liveness.sql.text import dotted, literal, number_of, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation, Statement

FETCHED_ROWS: Final = 10_000

AS_TEXT: Final = frozenset({"TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIME WITH TIME ZONE"})
"""Types that Python lacks: their values are returned as text, to the nanosecond."""

READ_STATEMENTS: Final = frozenset({"SELECT", "MULTI", "CREATE", "INSERT", "UPDATE", "DELETE", "DROP"})
"""The kinds of statements that are run: queries (a PIVOT is a MULTI), and tables in memory to query."""
_COMMENT: Final = r"(?:--[^\n]*\n|/\*.*?\*/)\s*"
EXPLAINS: Final = re.compile(rf"\s*(?:{_COMMENT})*EXPLAIN\s*(?:ANALY[SZ]E\b|\([^)]*\))?", re.IGNORECASE | re.DOTALL)

FUNCTIONS: Final = f"""
CREATE MACRO ip_text(number) AS {dotted("number")};
CREATE MACRO ip_number(text) AS
    CASE WHEN text IS NOT NULL THEN coalesce({number_of("text")}, error(text || ': not an address')) END;
"""

VIEWS: Final = {
    "replies": "SELECT make_timestamp_ns(time_ns) AS time, probe, attempt, kind, icmp_type, icmp_code,"
    " ip_text(target) AS target, ip_text(source) AS source, target AS target_number, source AS source_number,"
    " source = target AS direct, reply_ttl, quoted_ttl, rtt_ns / 1e6 AS rtt_ms, rtt_ns, tcp_window, tcp_flags, ip_id,"
    " length, tier, time_ns, protocol, data::VARCHAR AS data FROM files",
    "errors": "SELECT time, probe, attempt, icmp_type, icmp_code, target, source, target_number, source_number, direct,"
    " reply_ttl, quoted_ttl, tier, time_ns FROM replies WHERE kind = 'error'",
    "rtt": "SELECT time, probe, attempt, kind, target, source, target_number, source_number, rtt_ms, rtt_ns, reply_ttl,"
    " time_ns FROM replies WHERE rtt_ns IS NOT NULL",
}
"""The query of each view, in order of dependency."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query: the names of its columns, each once, and its rows."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class ReplyTable:
    """The replies of one log; a context manager that closes what it opened."""

    def __init__(self, path: Path) -> None:
        """Open the log of a run directory, of a directory of Parquet files, or one such file.

        UsageError if there is none; LivenessError that names a file which is damaged. Spools that a crash has left, or
        that a scan is writing now, are read as they are.
        """
        files, spools = find_log(path)
        self._spill = TemporaryDirectory(prefix="liveness-", ignore_cleanup_errors=True)  # private: mode 0700
        self._connection = connect()
        self.cut_bytes = 0
        """Bytes at the ends of spools that are no whole reply."""
        try:
            self._open(path, files, spools)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._connection.close()
        self._spill.cleanup()

    def stop(self) -> None:
        """End a running query soon, with an error; another thread may call this."""
        self._connection.interrupt()

    def _open(self, path: Path, files: list[Path], spools: list[Path]) -> None:
        run = self._connection.execute
        limit_memory(self._connection, self._spill.name)
        run(FUNCTIONS)
        tables = self._spool_tables(files, spools)
        for file in files:
            _check(self._connection, file)
        empty = ", ".join(f"NULL::{kind} AS {name}" for name, (kind, _) in COLUMNS.items())
        parts = [f"SELECT {empty} WHERE false"]  # a log without a reply has its columns too
        if files:
            allowed = {text for file in files for text in (str(file), literal(file))}
            run(f"SET allowed_paths = [{', '.join(map(quoted, sorted(allowed)))}]")
        try:
            parts += [*self._file_tables(files), *tables]
            run(f"CREATE VIEW files AS {' UNION ALL '.join(parts)}")
            for name, query in VIEWS.items():
                run(f"CREATE VIEW {name} AS {query}")
        except duckdb_errors() as error:
            raise UsageError(f"{path}: not a log of replies: {first_line(error)}") from error
        run("SET enable_external_access = false; SET lock_configuration = true")

    def _file_tables(self, files: list[Path]) -> list[str]:
        """Return a query for the files of each version, whose columns differ. They may be read from here on."""
        by_columns: dict[str, list[str]] = {}
        for file in files:
            columns = parquet.select_columns(self._connection, file)
            by_columns.setdefault(columns, []).append(quoted(literal(file)))
        return [f"SELECT {columns} FROM read_parquet([{', '.join(listed)}])" for columns, listed in by_columns.items()]  # noqa: S608 - quoted

    def _spool_tables(self, files: list[Path], spools: list[Path]) -> list[str]:
        """Register spools; one that was converted in the meantime joins the files."""
        queries = []
        for number, path in enumerate(spools):
            try:
                found = spool.read_spool(path)
            except FileNotFoundError:
                files.append(path.with_suffix(parquet.SUFFIX))
                continue
            self.cut_bytes += found.cut_bytes
            if len(found.replies):
                parquet.register(self._connection, f"spool{number}", found)
                queries.append(parquet.select_replies(f"spool{number}", found))
        return queries

    def relation(self, view: str = "replies") -> "DuckDBPyRelation":
        """Return a view of the log as a relation of DuckDB, which keeps open what it needs for as long as it lives.

        For a table that is not closed by a `with` statement.
        """
        relation = self._connection.view(view)
        weakref.finalize(relation, self._spill.cleanup)
        return relation

    def query(self, sql: str) -> Answer:
        """Run SQL and return the answer to its last statement. UsageError has DuckDB's message in one line."""
        import duckdb  # noqa: PLC0415 - as above

        run = self._connection.execute
        try:
            statements = self._connection.extract_statements(sql)
            queries = sum(statement.type == duckdb.StatementType.SELECT for statement in statements)
            if not statements or queries > 1:
                found = (
                    "it is empty" if not statements else f"{queries} queries in one, of which the last alone would show"
                )
                raise UsageError(f"SQL: {found}: give one query, such as: FROM replies LIMIT 10")
            for statement in statements:
                self._refuse_writing(statement)
            for statement in statements[:-1]:
                run(statement)
            if statements:
                run(self._as_python_takes_it(statements[-1].query))
        except duckdb_errors() as error:
            raise UsageError(f"SQL: {first_line(error)}") from error
        described = (self._connection.description or []) if statements else []
        columns = _distinct([str(column[0]) for column in described])
        return Answer(columns, self._rows() if columns else iter(()))

    def _refuse_writing(self, statement: "Statement") -> None:
        """Raise UsageError for a statement that could write a file, of the log above all, or change a setting.

        DuckDB can also write every file that it may read, so only queries pass, and statements that make tables in
        memory.
        """
        words = statement.query.split(None, 1)
        name = words[0].upper() if words else ""
        kind = statement.type.name
        if kind == "EXPLAIN":  # with ANALYZE the explained statement runs
            for inner in self._connection.extract_statements(EXPLAINS.sub("", statement.query, count=1)):
                self._refuse_writing(inner)
        elif kind not in READ_STATEMENTS or (kind == "CREATE" and "SECRET" in statement.query.upper()):
            raise UsageError(f"SQL: {name}: only queries are run here, and nothing is written: begin with SELECT")

    def _as_python_takes_it(self, query: str) -> str:
        """Return a query with those columns as text whose types Python lacks."""
        try:
            columns = self._connection.execute(f"DESCRIBE {query}").fetchall()
            if not any(kind in AS_TEXT for _, kind, *_ in columns):
                return query
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW answer AS {query}")
        except duckdb_errors():  # a statement without rows, or a wrong one, whose error comes when it runs
            return query
        chosen = (
            f"#{at}{'::VARCHAR' if kind in AS_TEXT else ''} AS {_identifier(name)}"
            for at, (name, kind, *_) in enumerate(columns, 1)
        )
        return f"SELECT {', '.join(chosen)} FROM temp.answer"  # noqa: S608 - the user's own names, quoted

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        try:
            while rows := self._connection.fetchmany(FETCHED_ROWS):
                yield from rows
        except duckdb_errors() as error:
            raise UsageError(f"SQL: {first_line(error)}") from error


def find_log(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the Parquet files and the spools of a log, in the order of their names; UsageError if there is none."""
    if path.is_file():
        return ([path], []) if path.suffix != spool.SUFFIX else ([], [path])
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or directory: give a run directory")
    folder = path / REPLIES if (path / REPLIES).is_dir() else path
    # spools first: one that is converted in between is then in both lists, and not in neither
    spools = sorted(folder.glob(f"[!.]*{spool.SUFFIX}"))
    files = sorted(folder.glob(f"[!.]*{parquet.SUFFIX}"))
    done = {file.stem for file in files}
    spools = [path for path in spools if path.stem not in done]
    if not files and not spools and folder == path:
        if (path / MANIFEST_FILE).exists():
            raise UsageError(f"{path}: this run keeps no log of replies (config: replies: parquet), or had none")
        raise UsageError(f"{path}: no log of replies here: give a run directory, or one of Parquet files")
    return files, spools


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check(connection: "DuckDBPyConnection", path: Path) -> None:
    """Raise LivenessError for a file that is not Parquet, or whose end is missing."""
    try:
        connection.execute(f"SELECT * FROM parquet_file_metadata({quoted(literal(path))})")  # noqa: S608 - quoted
    except duckdb_errors() as error:
        raise LivenessError(f"{path}: not a Parquet file, or damaged: {first_line(error)}") from error


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns, later ones of the same name with a number."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(distinct)
