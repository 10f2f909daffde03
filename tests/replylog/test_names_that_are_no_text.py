"""Parquet files whose column names are no text: messages of DuckDB quote them, and are one line all the same."""

from pathlib import Path

import pytest

from liveness.errors import LivenessError
from liveness.replies import REPLY_DTYPE
from liveness.replylog.parquet import convert_spool
from liveness.replylog.replytable import ReplyTable
from liveness.replylog.spool import spool_header
from liveness.sql.connection import duckdb_errors, first_line
from tests.replylog.replies import PROBES, replies


def test_a_log_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.spool"
    path.write_bytes(spool_header(PROBES, REPLY_DTYPE) + replies(5).tobytes())
    file = convert_spool(path)
    assert file is not None
    file.write_bytes(file.read_bytes().replace(b"quoted_ttl", b"\xffuoted_ttl"))
    with pytest.raises(LivenessError, match=r"a\.parquet: not a log of replies: .*quoted_ttl") as caught:
        ReplyTable(file)
    assert str(caught.value).isprintable()


def test_bytes_that_are_no_text_are_escaped() -> None:
    error = UnicodeDecodeError("utf-8", b"no column \xff\nhere\n\nLINE 1: SELECT", 10, 11, "invalid start byte")
    assert isinstance(error, duckdb_errors())
    assert first_line(error) == r"no column \xff here"
