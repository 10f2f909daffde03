"""Queries of the log: the views say of every reply what was captured, and reach nothing but the log."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from liveness.errors import LivenessError, UsageError
from liveness.replies import REPLY_DTYPE
from liveness.replylog.parquet import COLUMNS, convert_spool
from liveness.replylog.replytable import VIEWS, ReplyTable
from liveness.replylog.spool import spool_header
from liveness.sql.connection import connect, stop_queries
from tests.frames import dotted
from tests.replylog.replies import PROBES, replies, rows, shown

BATCH = replies(600)


def write_log(folder: Path, *, parquet: int = 2, spools: int = 1, cut: int = 0) -> Path:
    """Write BATCH as so many Parquet files and spools, the last of which is cut."""
    (folder / "replies").mkdir(parents=True)
    parts = np.array_split(BATCH, parquet + spools)
    for number, part in enumerate(parts):
        path = folder / "replies" / f"2026-06-21T00Z.0.{number:06d}.spool"
        content = spool_header(PROBES, REPLY_DTYPE) + part.tobytes()
        path.write_bytes(content[: len(content) - (cut if number + 1 == len(parts) else 0)])
        if number < parquet:
            convert_spool(path)
    return folder


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("run"))


def ask(path: Path, sql: str) -> list[dict[str, Any]]:
    with ReplyTable(path) as table:
        answer = table.query(sql)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def refusal(path: Path, sql: str) -> str:
    with pytest.raises(UsageError) as raised:
        ask(path, sql)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("SQL: ")
    return message


@pytest.mark.parametrize(("parquet", "spools"), [(3, 0), (1, 2), (0, 1)])
def test_every_reply_is_in_the_view(tmp_path: Path, parquet: int, spools: int) -> None:
    folder = write_log(tmp_path / "run", parquet=parquet, spools=spools)
    found = ask(folder, "SELECT * EXCLUDE (time) FROM replies ORDER BY time_ns")
    assert found == [shown(row) for row in rows(BATCH)]


def test_time_is_reported_to_the_nanosecond(log: Path) -> None:
    found = ask(log, "SELECT time, time_ns FROM replies ORDER BY time_ns LIMIT 1")
    time_ns = int(BATCH["time_ns"][0])
    assert found == [{"time": f"{np.datetime64(time_ns, 'ns')}".replace("T", " "), "time_ns": time_ns}]


def test_the_other_views_are_parts_of_it(log: Path) -> None:
    everything = [shown(row) for row in rows(BATCH)]
    for view, chosen in (
        ("errors", [row for row in everything if row["kind"] == "error"]),
        ("rtt", [row for row in everything if row["rtt_ns"] is not None]),
    ):
        found = ask(log, f"SELECT * EXCLUDE (time) FROM {view} ORDER BY time_ns")
        assert found == [{name: row[name] for name in found[0]} for row in chosen]
        assert 0 < len(found) < len(everything)


def test_the_views_are_there_and_described(log: Path) -> None:
    listed = {row["name"] for row in ask(log, "SHOW TABLES")}
    assert set(VIEWS) <= listed
    (described,) = [row for row in ask(log, "DESCRIBE replies") if row["column_name"] == "target_number"]
    assert described["column_type"] == "UINTEGER"


def test_the_documents_name_every_column_and_view() -> None:
    text = (Path(__file__).parents[2] / "docs" / "replies.md").read_text()
    assert [name for name in (*COLUMNS, *VIEWS) if f"`{name}`" not in text] == []


def test_addresses_go_both_ways(log: Path) -> None:
    numbers = [0, 1, 255, 256, 0x01020304, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, *BATCH["target"].tolist()]
    with ReplyTable(log) as table:
        for number in numbers:
            text = dotted(number)
            answer = table.query(f"SELECT ip_text({number}), ip_number('{text}'), ip_text({number}::UINTEGER)")
            assert list(answer.rows) == [(text, number, text)]


def test_text_that_is_no_address_is_named(log: Path) -> None:
    with ReplyTable(log) as table:
        assert list(table.query("SELECT ip_number(NULL)").rows) == [(None,)]
        for text in ("192.0.2.256", "192.0.2", "192.0.2.1.1"):
            with pytest.raises(UsageError, match=f"{text}: not an address"):
                list(table.query(f"SELECT ip_number('{text}')").rows)


def test_columns_of_one_name_and_types_that_python_lacks(log: Path) -> None:
    (row,) = ask(log, "SELECT 1 AS a, 2 AS a, 3 AS a, TIMESTAMPTZ '2026-11-22 05:00:00+00' AS t; -- done")
    assert row == {"a": 1, "a_2": 2, "a_3": 3, "t": row["t"]}
    assert row["t"].startswith("2026-11-2")


def test_several_statements_and_none(log: Path) -> None:
    assert ask(log, "CREATE TABLE mine AS SELECT 7 AS n; SELECT n FROM mine;") == [{"n": 7}]
    for sql, words in (("", "it is empty"), ("-- nothing", "it is empty"), ("SELECT 1; SELECT 2", "2 queries in one")):
        with pytest.raises(UsageError, match=words):
            ask(log, sql)


def test_every_kind_of_query_is_run(log: Path) -> None:
    for sql in ("EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT count(*) FROM replies", "DESCRIBE replies", "SHOW TABLES"):
        assert ask(log, sql)
    assert ask(log, "PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)") == [{"1": 2}]


def test_where_a_query_spills_is_private_and_goes_with_it(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ReplyTable(log):
        (spill,) = tmp_path.iterdir()
        assert spill.stat().st_mode & 0o777 == 0o700
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT tagret FROM replies", '"target"'),
        ("SELECT * FROM answers", "answers"),
        ("SELECT kind::INTEGER FROM replies", "Could not convert"),
        ("SELECT 1; SELECT", "SELECT clause without selection list"),
    ],
)
def test_wrong_sql_is_one_line(log: Path, sql: str, words: str) -> None:
    assert words in refusal(log, sql)


def test_nothing_but_the_log_is_in_reach(log: Path, tmp_path: Path) -> None:
    """No file is read or written, and nobody is called: a server on this host waits in vain."""
    before = {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    (tmp_path / "other.csv").write_text("a\n1\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        called = []
        waiting = threading.Thread(target=lambda: called.append(_accept(server)))
        waiting.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        for sql in (
            f"SELECT * FROM '{tmp_path}/other.csv'",
            f"COPY replies TO '{tmp_path}/copy.parquet'",
            f"COPY (SELECT 1) TO '{next((log / 'replies').glob('*.parquet'))}'",
            f"COPY (SELECT 1) TO '{next((log / 'replies').glob('*.parquet'))}' (FORMAT parquet, USE_TMP_FILE false)",
            f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{next((log / 'replies').glob('*.parquet'))}' (USE_TMP_FILE false)",
            f"/* EXPLAIN */ explain /* */ analyze COPY (SELECT 1) TO '{next((log / 'replies').glob('*.parquet'))}'",
            f"EXPLAIN (FORMAT json) COPY (SELECT 1) TO '{next((log / 'replies').glob('*.parquet'))}'",
            f"PREPARE p AS COPY (SELECT 1) TO '{next((log / 'replies').glob('*.parquet'))}' (USE_TMP_FILE false)",
            f"EXPORT DATABASE '{tmp_path}/database'",
            "CREATE SECRET s (TYPE s3)",
            "PRAGMA threads = 1",
            f"ATTACH '{tmp_path}/database'",
            f"SELECT * FROM read_parquet('{url}/x.parquet')",
            f"INSTALL httpfs FROM '{url}'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET autoinstall_known_extensions = true",
        ):
            assert refusal(log, sql)
        waiting.join()
    assert called == [False]
    assert {path: path.read_bytes() for path in log.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


def _accept(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


def test_a_crash_left_half_a_reply(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "run", cut=7)
    with ReplyTable(folder) as table:
        assert list(table.query("SELECT count(*) FROM replies").rows) == [(len(BATCH) - 1,)]
        assert table.cut_bytes == REPLY_DTYPE.itemsize - 7


def test_a_folder_of_files_and_a_single_one(log: Path, tmp_path: Path) -> None:
    folder = log / "replies"
    assert ask(folder, "SELECT count(*) AS n FROM replies") == [{"n": len(BATCH)}]
    file = next(folder.glob("*.parquet"))
    assert ask(file, "SELECT count(*) AS n FROM replies") == [{"n": len(BATCH) // 3}]
    odd = tmp_path / "a'b [c]*"
    odd.mkdir()
    (odd / "it's.parquet").write_bytes(file.read_bytes())
    assert ask(odd, "SELECT count(*) AS n FROM replies") == [{"n": len(BATCH) // 3}]


def test_a_log_without_a_reply(tmp_path: Path) -> None:
    (tmp_path / "replies").mkdir()
    assert ask(tmp_path, "SELECT * FROM replies") == []
    assert ask(tmp_path, "SELECT count(*) AS n, max(time) AS t FROM errors") == [{"n": 0, "t": None}]


def test_what_is_no_log_is_reported(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none", "no such file or directory"),
        (tmp_path, "no log of replies here"),
    ):
        with pytest.raises(UsageError, match=words):
            ReplyTable(path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"this run keeps no log of replies \(config: replies: parquet\)"):
        ReplyTable(tmp_path)


def test_files_that_are_damaged_or_hold_something_else_are_named(log: Path, tmp_path: Path) -> None:
    import duckdb  # noqa: PLC0415 - for a file of other columns

    good = next((log / "replies").glob("*.parquet")).read_bytes()
    for number, content in enumerate((b"", b"PAR1", good[:-100], b"hello" * 100)):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(content)
        with pytest.raises(LivenessError, match=rf"{number}\.parquet: not a Parquet file, or damaged: ") as raised:
            ReplyTable(path)
        assert "\n" not in str(raised.value)
    duckdb.connect().execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/other.parquet'")
    with pytest.raises(UsageError, match=r"other\.parquet: not a log of replies: .*time_ns"):
        ReplyTable(tmp_path / "other.parquet")


def test_queries_of_every_connection_are_stopped() -> None:
    closed, connection = connect(), connect()
    closed.close()
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            connection.execute("SELECT count(*) FROM range(100000000000) a WHERE sqrt(a.range) = 0.5").fetchall()
        except duckdb.Error as error:
            failed.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    deadline = time.monotonic() + 60
    while asking.is_alive() and time.monotonic() < deadline:
        stop_queries()
        time.sleep(0.05)
    assert failed
