"""Logs without opted-out addresses: copies of a run's Parquet files, spools and captures without what is about them."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np

from liveness.errors import LivenessError
from liveness.files.atomic import replaced
from liveness.files.reading import open_regular
from liveness.optouts.packet_addresses import ADDRESSES, index_records
from liveness.optouts.stage import Stage
from liveness.packets import pcap
from liveness.packets.packing import MAX_CAPTURED
from liveness.replies import REPLY_DTYPE
from liveness.replylog import parquet, spool
from liveness.replylog.runlog import PACKETS, REPLIES
from liveness.runs.manifest import Log, LogFile
from liveness.runs.optout_record import Change
from liveness.space.intervals import Intervals
from liveness.sql.connection import connect, duckdb_errors, first_line, limit_memory
from liveness.sql.tables import PARQUET, register
from liveness.sql.text import literal, quoted

CHUNK_BYTES: Final = 8 << 20
CHUNK_RECORDS: Final = (CHUNK_BYTES + MAX_CAPTURED) // pcap.RECORD_BYTES + 1
"""Most records in a chunk, and in the rest of the chunk before it."""


def redact(source: Path, target: Path, blocked: Intervals) -> tuple[int, int]:
    """Write a log file without what is about blocked addresses; return its entries before and after.

    A reply is about its source and its target; a packet also about those of a packet that it quotes. What is cut at a
    file's end, and is no whole entry, is left out and counts as one. If all entries stay, `target` is of no use.
    Raises LivenessError that names the file.
    """
    try:
        if source.suffix == parquet.SUFFIX:
            return _redact_parquet(source, target, blocked)
        if source.suffix == spool.SUFFIX:
            return _redact_spool(source, target, blocked)
        return _redact_pcap(source, target, blocked)
    except OSError as error:
        raise LivenessError(f"{source}: cannot remove opted-out entries: {error.strerror}") from error


def redact_logs(run: Path, stage: Stage, blocked: Intervals) -> list[Change]:
    """Stage the logs of a run that have blocked addresses without them; return what changed. Raises OSError."""
    changes: list[Change] = []
    for folder in (REPLIES, PACKETS):
        for path in sorted((run / folder).glob("[!.]*")):
            name = f"{folder}/{path.name}"
            staged = stage.path / name
            before, after = redact(path, staged, blocked)
            if before == after:
                staged.unlink(missing_ok=True)
                continue
            if redact(staged, staged.with_name(f".{path.name}"), blocked) != (after, after):
                raise LivenessError(f"{staged}: opted-out addresses are still in it")
            staged.with_name(f".{path.name}").unlink(missing_ok=True)
            with staged.open("rb") as file:
                os.fsync(file.fileno())
            changes.append(Change(file=name, before=before, after=after))
            stage.replace.append(name)
    return changes


def redacted_files(log: Log, changes: Sequence[Change], stage: Path) -> list[LogFile]:
    """Return the files of a log as the manifest has them, with the counts and sizes of those that are on the stage."""
    after = {change.file: change.after for change in changes}
    return [
        msgspec.structs.replace(file, rows=after[file.file], bytes=(stage / file.file).stat().st_size)
        if file.file in after
        else file
        for file in log.files
    ]


def load() -> None:
    """Load and compile all that `redact` needs, by redacting small logs.

    After a change of user the package may not be readable.
    """
    with TemporaryDirectory(prefix="liveness-") as folder:
        place = Path(folder)
        spool_file = place / f"one{spool.SUFFIX}"
        records = np.zeros(2, REPLY_DTYPE)
        records["target"][1] = 1
        spool_file.write_bytes(spool.spool_header(("icmp",), REPLY_DTYPE) + records.tobytes())
        redact(spool_file, place / f"two{spool.SUFFIX}", Intervals.from_bounds([0], [0]))
        parquet.convert_spool(spool_file)
        capture = place / "one.pcap"
        capture.write_bytes(pcap.HEADER + bytes(pcap.RECORD_BYTES))
        for log in (spool_file.with_suffix(parquet.SUFFIX), capture):
            redact(log, log.with_stem("two"), Intervals.from_bounds([1], [1]))


def _redact_parquet(source: Path, target: Path, blocked: Intervals) -> tuple[int, int]:
    file = f"read_parquet({quoted(literal(source))}, file_row_number = true)"
    try:
        with connect() as connection:
            limit_memory(connection)
            query = f"SELECT file_row_number, source, target FROM {file} ORDER BY 1"  # noqa: S608 - quoted
            rows = connection.execute(query).fetchnumpy()
            stays = ~(blocked.contains(rows["source"]) | blocked.contains(rows["target"]))
            before, after = len(stays), int(stays.sum())
            if after == before:
                return before, after
            columns = parquet.select_columns(connection, source)
            register(connection, "kept", {"number": rows["file_row_number"][stays]})
            kept = f"SELECT {columns} FROM {file} SEMI JOIN kept ON file_row_number = number ORDER BY file_row_number"  # noqa: S608 - as above
            connection.execute(f"COPY ({kept}) TO {quoted(str(target))} ({PARQUET}, USE_TMP_FILE false)")
    except duckdb_errors() as error:
        raise LivenessError(f"{source}: cannot remove opted-out replies: {first_line(error)}") from error
    return before, parquet.count_rows(target)


def _redact_spool(source: Path, target: Path, blocked: Intervals) -> tuple[int, int]:
    found = spool.read_spool(source)
    stays = ~(blocked.contains(found.replies["source"]) | blocked.contains(found.replies["target"]))
    if stays.all() and not found.cut_bytes:
        return len(stays), len(stays)
    records = np.ascontiguousarray(found.replies[stays])
    spool.clear_rest(records)
    with replaced(target) as file:
        file.write(spool.spool_header(found.probes, found.replies.dtype))
        file.write(records.tobytes())
    return len(stays) + bool(found.cut_bytes), int(stays.sum())


def _redact_pcap(source: Path, target: Path, blocked: Intervals) -> tuple[int, int]:
    starts = np.zeros(CHUNK_RECORDS + 1, np.int64)
    addresses = np.zeros((CHUNK_RECORDS, ADDRESSES), np.uint32)
    before = after = 0
    with open_regular(source) as stream, replaced(target) as file:
        header = stream.read(pcap.HEADER_BYTES)
        ethernet = header == pcap.HEADER[: len(header)]
        if not ethernet and header != pcap.RAW_HEADER[: len(header)]:
            raise LivenessError(f"{source}: not a capture of ours: it stays as it is; move it away")
        file.write(header)
        rest = b""
        while more := stream.read(CHUNK_BYTES):
            data = np.frombuffer(rest + more, np.uint8)
            count = int(index_records(data, len(data), starts, addresses, ethernet))
            if count < 0:
                raise LivenessError(f"{source}: damaged: its content is unknown; move it away")
            stays = ~blocked.contains(addresses[:count].ravel()).reshape(count, ADDRESSES).any(axis=1)
            wanted = np.repeat(stays, np.diff(starts[: count + 1]))
            file.write(data[: int(starts[count])][wanted].tobytes())
            rest = data[int(starts[count]) :].tobytes()
            before += count
            after += int(stays.sum())
    return before + bool(rest), after
