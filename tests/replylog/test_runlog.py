"""The log of a run: every reply becomes a row, whatever happens to converter, disk and folders on the way."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from liveness.errors import LivenessError
from liveness.packets.block import pack_block
from liveness.packets.capture import count_packets
from liveness.replies import REPLY_DTYPE
from liveness.replylog import parquet, runlog
from liveness.replylog.parquet import COLUMNS, convert_spool, count_rows
from liveness.replylog.runlog import Mode, RunLog, settle
from liveness.replylog.spool import read_spool, spool_header
from liveness.runs.logstream import LogEnd
from liveness.runs.manifest import LogFile
from tests.replylog.replies import HOUR_NS, PROBES, START_NS, replies, rows


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file as a plain DuckDB reads them."""
    found = duckdb.connect().execute(f"SELECT * FROM read_parquet('{path}')")
    names = [column[0] for column in found.description or []]
    assert names == list(COLUMNS)
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def logged(folder: Path, mode: Mode = "parquet") -> list[str]:
    kind = "pcap" if mode == "pcap" else "replies"
    return sorted(path.name for path in (folder / kind).iterdir())


def block(count: int, time_ns: int = START_NS) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return pack_block([(time_ns + number, bytes([number % 256] * 60)) for number in range(count)])


def test_every_reply_is_a_row(tmp_path: Path) -> None:
    batch = replies(2000)
    log = RunLog(tmp_path, "parquet", PROBES)
    for part in np.array_split(batch, 7):
        log.replies(part)
    assert log.close() == LogEnd()
    log.wait()
    (name,) = logged(tmp_path)
    assert name == "2026-06-21T00Z.0.000001.parquet"
    assert read_parquet(tmp_path / "replies" / name) == rows(batch)
    assert count_rows(tmp_path / "replies" / name) == 2000


def test_the_columns_have_their_types(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "parquet", PROBES)
    log.replies(replies(5))
    log.close()
    log.wait()
    described = duckdb.connect().execute(f"DESCRIBE SELECT * FROM '{tmp_path}/replies/*.parquet'").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [(name, kind) for name, (kind, _) in COLUMNS.items()]


def test_an_hour_a_file(tmp_path: Path) -> None:
    """Replies that come in out of order at the full hour lie in the file of their hour all the same."""
    batch = replies(400, start_ns=START_NS + HOUR_NS // 2, step_ns=HOUR_NS // 100)
    batch["time_ns"][[100, 101]] = batch["time_ns"][[101, 100]]
    log = RunLog(tmp_path, "parquet", PROBES, receiver=2)
    for part in np.array_split(batch, 3):
        log.replies(part)
    log.close()
    log.wait()
    found = {name: read_parquet(tmp_path / "replies" / name) for name in logged(tmp_path)}
    for name, kept in found.items():
        hours = {row["time_ns"] // HOUR_NS for row in kept}
        assert {name[:14]} == {f"{np.datetime64(hour, 'h')}Z" for hour in hours}
        assert ".2." in name
    everything = sorted((row for kept in found.values() for row in kept), key=lambda row: row["time_ns"])
    assert everything == sorted(rows(batch), key=lambda row: row["time_ns"])
    assert len({name[:14] for name in found}) == 5


def test_a_file_ends_at_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "SPOOL_BYTES", 100 * REPLY_DTYPE.itemsize)
    batch = replies(500)
    log = RunLog(tmp_path, "parquet", PROBES)
    for part in np.array_split(batch, 10):
        log.replies(part)
    log.close()
    log.wait()
    assert [count_rows(tmp_path / "replies" / name) for name in logged(tmp_path)] == [100] * 5


def test_packets_and_replies_of_one_run(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "both", PROBES)
    log.block(block(30), 30)
    log.replies(replies(20))
    log.block(block(0), 0)
    log.replies(replies(0))
    log.block(block(12), 12)
    end = log.close()
    log.wait()
    settled = settle(tmp_path, "both", end, replies=20, packets=42)
    files = {file.file: file.rows for file in settled.files}
    assert files == {"replies/2026-06-21T00Z.0.000001.parquet": 20, "pcap/2026-06-21T00Z.0.000001.pcap": 42}
    assert all((tmp_path / file.file).stat().st_size == file.bytes for file in settled.files)
    assert (settled.complete, settled.problems) == (True, [])
    assert count_packets(tmp_path / "pcap/2026-06-21T00Z.0.000001.pcap") == 42


def test_no_log_and_a_log_of_nothing(tmp_path: Path) -> None:
    modes: tuple[Mode, ...] = ("none", "parquet", "pcap", "both")
    for mode in modes:
        log = RunLog(tmp_path, mode, PROBES)
        if mode == "none":
            log.replies(replies(5))
            log.block(block(5), 5)
        end = log.close()
        log.wait()
        settled = settle(tmp_path, mode, end, 0, 0)
        assert (settled.complete, settled.problems, settled.files) == (True, [], [])
    assert list(tmp_path.iterdir()) == []


def test_a_killed_converter_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "SPOOL_BYTES", 100 * REPLY_DTYPE.itemsize)
    batch = replies(300)
    log = RunLog(tmp_path, "parquet", PROBES)
    assert log._converter is not None
    os.kill(log._converter._pid, signal.SIGKILL)
    time.sleep(0.1)
    for part in np.array_split(batch, 3):
        log.replies(part)
    end = log.close()
    log.wait()
    assert [name[-6:] for name in logged(tmp_path)] == [".spool"] * 3
    settled = settle(tmp_path, "parquet", end, 300, 0)
    assert [file.rows for file in settled.files] == [100] * 3
    assert settled.complete
    found = [row for name in logged(tmp_path) for row in read_parquet(tmp_path / "replies" / name)]
    assert found == rows(batch)


def write_spool(folder: Path, batch: np.ndarray[Any, np.dtype[np.void]], cut: int = 0, number: int = 1) -> Path:
    """Write a spool as a crash leaves it: `cut` bytes of its end are not there."""
    folder.mkdir(exist_ok=True)
    path = folder / f"2026-06-21T00Z.0.{number:06d}.spool"
    content = spool_header(PROBES, REPLY_DTYPE) + batch.tobytes()
    path.write_bytes(content[: len(content) - cut])
    return path


def test_a_crash_loses_at_most_the_last_reply(tmp_path: Path) -> None:
    """The receiver died: nobody tells how its log ended. A file left half made goes."""
    batch = replies(10)
    write_spool(tmp_path / "replies", batch, cut=5)
    half = tmp_path / "replies" / ".2026-06-21T00Z.0.000001.parquet.tmp"
    half.write_bytes(b"PAR1")
    (tmp_path / "pcap").mkdir()
    log = RunLog(tmp_path, "pcap", PROBES)
    log.block(block(9), 9)
    log.close()
    (name,) = logged(tmp_path, "pcap")
    whole = (tmp_path / "pcap" / name).read_bytes()
    (tmp_path / "pcap" / name).write_bytes(whole[:-1])
    settled = settle(tmp_path, "both", LogEnd(), replies=0, packets=0)
    assert [(Path(file.file).suffix, file.rows) for file in settled.files] == [(".parquet", 9), (".pcap", 8)]
    assert settled.complete
    assert not half.exists()
    assert read_parquet(tmp_path / settled.files[0].file) == rows(batch[:9])


def test_a_spool_cut_anywhere_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    batch = replies(3)
    path = write_spool(tmp_path / "replies", batch)
    content = path.read_bytes()
    start = len(content) - batch.nbytes
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        found = read_spool(path)
        whole = max(0, length - start) // REPLY_DTYPE.itemsize
        assert found.replies.tobytes() == batch[:whole].tobytes()
        assert found.cut_bytes == (length if length < start else (length - start) % REPLY_DTYPE.itemsize)


@pytest.mark.parametrize(
    "content", [b"PAR1PAR1\n\n", b"liveness spool 1\nnonsense\n", b'liveness spool 1\n{"probes": 1}\n']
)
def test_what_is_no_spool_is_reported_and_left(tmp_path: Path, content: bytes) -> None:
    path = write_spool(tmp_path / "replies", replies(0))
    path.write_bytes(content)
    with pytest.raises(LivenessError, match=r"\.spool: not a spool of replies, or its beginning is damaged"):
        convert_spool(path)
    assert path.read_bytes() == content
    settled = settle(tmp_path, "parquet", LogEnd(), replies=3, packets=0)
    assert (settled.complete, settled.files) == (False, [])
    assert len(settled.problems) == 2
    assert settled.problems[1] == "the log lacks 3 of 3 replies: files of it are gone"


def test_a_spool_that_cannot_be_converted_stays_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_spool(tmp_path / "replies", replies(4))

    def refuse(*_: object) -> None:
        raise duckdb.IOException("No space left on device\n\nLINE 1: COPY")

    monkeypatch.setattr(parquet, "register", refuse)
    settled = settle(tmp_path, "parquet", LogEnd(), replies=4, packets=0)
    assert settled.problems == [f"{path}: cannot turn this spool into Parquet: No space left on device"]
    assert settled.complete
    assert settled.files == [LogFile(file=f"replies/{path.name}", rows=4, bytes=path.stat().st_size)]


def test_folders_that_vanish_are_reported_in_one_line(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "both", PROBES)
    log.replies(replies(20))
    log.block(block(30), 30)
    shutil.rmtree(tmp_path / "replies")
    shutil.rmtree(tmp_path / "pcap")
    end = log.close()
    log.wait()
    settled = settle(tmp_path, "both", end, replies=20, packets=30)
    assert not settled.complete
    assert settled.files == []
    (problem,) = settled.problems
    assert problem == (
        "the log lacks 20 of 20 replies and 30 of 30 packets:"
        " replies: removed while it was written; pcap: removed while it was written"
    )


def test_files_that_vanish_are_missed(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "parquet", PROBES)
    log.replies(replies(20))
    log.replies(replies(5, start_ns=START_NS + HOUR_NS))
    end = log.close()
    log.wait()
    (tmp_path / "replies" / logged(tmp_path)[0]).unlink()
    settled = settle(tmp_path, "parquet", end, replies=25, packets=0)
    assert settled.problems == ["the log lacks 20 of 25 replies: files of it are gone"]


def test_names_are_quoted(tmp_path: Path) -> None:
    folder = tmp_path / "o'clock [1]*?"
    folder.mkdir()
    log = RunLog(folder, "parquet", ["it's", *PROBES[1:]])
    log.replies(replies(50))
    end = log.close()
    log.wait()
    settled = settle(folder, "parquet", end, replies=50, packets=0)
    assert [file.rows for file in settled.files] == [50]
    assert settled.complete
