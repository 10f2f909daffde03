"""First bytes and protocols in the log: kept where a run talks, absent elsewhere, and older files are read on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest

from liveness.applications.fingerprints.table import NAMES
from liveness.errors import LivenessError
from liveness.optouts.redacted_logs import redact
from liveness.replies import MOST_FIRST_BYTES, NO_DATA, REPLY_DTYPE
from liveness.replylog.parquet import COLUMNS, OPTIONAL, convert_spool
from liveness.replylog.replytable import ReplyTable
from liveness.replylog.runlog import RunLog
from liveness.replylog.spool import read_spool, record_dtype, spool_header
from liveness.space.intervals import Intervals
from tests.replylog.replies import PROBES, replies, rows

TEXTS = (b"SSH-2.0-x\r\n", b"", b"\0\xff'\"\\\x1b[2J", bytes(range(256)), b"x\0")
NUMBERS = (NAMES.index("ssh"), NO_DATA, 0, 200, len(NAMES) - 1)
"""A protocol, no data, data of no protocol, a number that no table has yet, and the last protocol."""
PROTOCOLS = ("ssh", None, "unknown", "unknown", NAMES[-1])


def written(folder: Path, first_bytes: int | None) -> list[dict[str, Any]]:
    """Write a log of replies with TEXTS as their data; return its rows as files must have them."""
    batch = replies(len(TEXTS))
    log = RunLog(folder, "parquet", PROBES, first_bytes=first_bytes)
    size = first_bytes or 0
    data = np.zeros((len(TEXTS), size), np.uint8)
    for place, text in enumerate(TEXTS):
        kept = np.frombuffer(text[:size], np.uint8)
        data[place, : len(kept)] = kept
        data[place, len(kept) :] = 7  # what follows is of an earlier reply
    lengths = np.array([min(len(text), size) for text in TEXTS], np.uint16)
    given = (np.array(NUMBERS, np.uint8), lengths, data)
    log.replies(batch, () if first_bytes is None else given)
    log.close()
    log.wait()
    expected = rows(batch)
    for row, text, protocol in zip(expected, TEXTS, PROTOCOLS, strict=True):
        row["protocol"] = None if first_bytes is None else protocol
        row["data"] = text[:size] or None
    return expected


def read(path: Path) -> list[dict[str, Any]]:
    found = duckdb.connect().execute(f"SELECT * FROM read_parquet('{path}')")
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("first_bytes", [None, 0, 1, 24, MOST_FIRST_BYTES])
def test_rows_have_protocol_and_first_bytes(tmp_path: Path, first_bytes: int | None) -> None:
    expected = written(tmp_path, first_bytes)
    (file,) = (tmp_path / "replies").glob("*.parquet")
    assert read(file) == expected
    with ReplyTable(tmp_path) as table:
        shown = list(table.query("SELECT protocol, data FROM replies ORDER BY time_ns").rows)
    assert [protocol for protocol, _ in shown] == [row["protocol"] for row in expected]
    assert all(data is None or (data.isascii() and data.isprintable()) for _, data in shown)
    assert [data is None for _, data in shown] == [row["data"] is None for row in expected]


def test_a_log_that_does_not_talk_is_as_it_was(tmp_path: Path) -> None:
    assert record_dtype(None) == REPLY_DTYPE
    path = tmp_path / "a.spool"
    path.write_bytes(spool_header(PROBES, np.dtype([*REPLY_DTYPE.descr, ("protocol", "u1"), ("data", "V9")])))
    with pytest.raises(LivenessError, match="its records lie as in no spool"):
        read_spool(path)


def without_new_columns(file: Path) -> None:
    """Rewrite a file as versions before these columns wrote it."""
    older = ", ".join(name for name in COLUMNS if name not in OPTIONAL)
    duckdb.connect().execute(f"COPY (SELECT {older} FROM read_parquet('{file}')) TO '{file}.old' (FORMAT parquet)")
    Path(f"{file}.old").replace(file)


def test_files_of_older_versions_and_new_ones_are_one_log(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    written(tmp_path / "new", 24)
    (new,) = (tmp_path / "new" / "replies").glob("*.parquet")
    written(tmp_path, None)
    (old,) = (tmp_path / "replies").glob("*.parquet")
    without_new_columns(old)
    new.rename(old.with_stem(old.stem + "9"))
    with ReplyTable(tmp_path) as table:
        found = list(table.query("SELECT protocol, count(*) FROM replies GROUP BY 1 ORDER BY 1 NULLS FIRST").rows)
    assert found == [(None, 1 + len(TEXTS)), ("ssh", 1), (NAMES[-1], 1), ("unknown", 2)]


@pytest.mark.parametrize("older", [False, True])
def test_redaction_keeps_the_data_of_others(tmp_path: Path, older: bool) -> None:
    expected = written(tmp_path, 24)
    (file,) = (tmp_path / "replies").glob("*.parquet")
    if older:
        without_new_columns(file)
    blocked = Intervals.from_bounds([expected[1]["target"]], [expected[1]["target"]])
    assert redact(file, tmp_path / "left.parquet", blocked) == (len(TEXTS), len(TEXTS) - 1)
    left = [row | ({"protocol": None, "data": None} if older else {}) for row in expected]
    del left[1]
    assert read(tmp_path / "left.parquet") == left


def test_a_spool_has_no_bytes_of_other_replies_behind_the_data(tmp_path: Path) -> None:
    """The array of the follower has rows of earlier blocks, also of targets that opt out later."""
    log = RunLog(tmp_path, "parquet", PROBES, first_bytes=9)
    kept: list[bytes] = []
    stream: Any = SimpleNamespace(append=lambda records, *_: kept.append(records.tobytes()))
    opened, log._replies = log._replies, stream
    log.replies(replies(3), (np.zeros(3, np.uint8), np.array([0, 4, 9], np.uint16), np.full((3, 9), 7, np.uint8)))
    log._replies = opened
    log.close()
    log.wait()
    records = np.frombuffer(kept[0], record_dtype(9))
    assert [bytes(record["data"]) for record in records] == [bytes(9), b"\7\7\7\7" + bytes(5), b"\7" * 9]


def test_redaction_removes_what_is_behind_the_data_in_a_spool(tmp_path: Path) -> None:
    records = np.zeros(3, record_dtype(9))
    records["target"] = records["source"] = (1, 2, 3)
    records["data"] = [b"a" * 9, b"b" * 9, b"cccbbbbbb"]
    records["data_bytes"] = (9, 9, 3)
    path = tmp_path / "a.spool"
    path.write_bytes(spool_header(PROBES, records.dtype) + records.tobytes())
    assert redact(path, tmp_path / "b.spool", Intervals.from_bounds([2], [2])) == (3, 2)
    assert b"b" not in (tmp_path / "b.spool").read_bytes().partition(b"\n")[2].partition(b"\n")[2]


def test_redaction_keeps_the_layout_of_a_spool(tmp_path: Path) -> None:
    dtype = record_dtype(9)
    records = np.zeros(3, dtype)
    records["target"] = records["source"] = (1, 2, 3)
    records["data"] = [b"a" * 9, b"b" * 9, b"c" * 9]
    records["data_bytes"] = 9
    path = tmp_path / "a.spool"
    path.write_bytes(spool_header(PROBES, dtype) + records.tobytes())
    assert redact(path, tmp_path / "b.spool", Intervals.from_bounds([2], [2])) == (3, 2)
    assert read_spool(tmp_path / "b.spool").replies.tolist() == records[[0, 2]].tolist()
    file = convert_spool(tmp_path / "b.spool")
    assert file is not None
    assert [row["data"] for row in read(file)] == [b"a" * 9, b"c" * 9]
