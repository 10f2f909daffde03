"""The log of a run: what a receiver writes of every reply and packet, and the files at the end."""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.packets import pcap
from liveness.packets.block import pack_block
from liveness.packets.bytes import read_le32
from liveness.packets.capture import EVERYTHING, Capture, count_packets
from liveness.replies import NO_DATA, REPLY_DTYPE
from liveness.replylog import parquet, spool
from liveness.replylog.converter import Converter
from liveness.runs.logstream import HOUR_NS, LogEnd, LogStream
from liveness.runs.manifest import Log, LogFile

REPLIES: Final = "replies"
PACKETS: Final = "pcap"
"""The folders of the logs below the run directory."""

SPOOL_BYTES: Final = 128 << 20
"""Three million replies, the most in one Parquet file."""
PCAP_BYTES: Final = 1 << 30

Mode = Literal["none", "parquet", "pcap", "both"]


class RunLog:
    """The logs that one receiver writes. Nothing here raises: a log that fails ends, and the scan continues."""

    def __init__(
        self,
        directory: Path,
        mode: Mode,
        probes: Sequence[str],
        receiver: int = 0,
        *,
        ethernet: bool = True,
        first_bytes: int | None = None,
    ) -> None:
        """Begin the logs of `mode`; `ethernet` is whether packets come with an Ethernet header.

        `first_bytes` is how much of the data of replies is kept, None if neither that nor their protocol is.
        """
        self._replies: LogStream | None = None
        self._packets: LogStream | None = None
        self._converter: Converter | None = None
        self._dtype = spool.record_dtype(first_bytes)
        self._records: NDArray[np.uint8] = np.zeros(0, np.uint8)
        if mode in ("parquet", "both"):
            self._converter = Converter()
            header = spool.spool_header(tuple(probes), self._dtype)
            folder = directory / REPLIES
            self._replies = LogStream(folder, spool.SUFFIX, receiver, header, SPOOL_BYTES, self._converter.convert)
        self._ethernet = ethernet
        if mode in ("pcap", "both"):
            header = pcap.HEADER if ethernet else pcap.RAW_HEADER
            self._packets = LogStream(directory / PACKETS, pcap.SUFFIX, receiver, header, PCAP_BYTES)

    @classmethod
    def none(cls) -> "RunLog":
        """Return a log that keeps nothing."""
        return cls(Path(), "none", ())

    def replies(self, batch: NDArray[np.void], first_data: Sequence[NDArray[Any]] = ()) -> None:
        """Write accepted replies (REPLY_DTYPE, contiguous).

        `first_data` are the protocols of their data and, if some of it is kept, its lengths and bytes, (replies, first
        bytes).
        """
        if self._replies is None or not len(batch):
            return
        batch = self._with_data(batch, first_data)
        times = batch["time_ns"]
        first, last = int(times.min()) // HOUR_NS, int(times.max()) // HOUR_NS
        if first == last:
            self._replies.append(batch.view(np.uint8), len(batch), first)
            return
        hours = times // HOUR_NS
        for hour in range(first, last + 1):
            part = batch[hours == hour]
            if len(part):
                self._replies.append(part.view(np.uint8), len(part), hour)

    def _with_data(self, batch: NDArray[np.void], first_data: Sequence[NDArray[Any]]) -> NDArray[np.void]:
        """Return replies as the records of this log's spools."""
        if self._dtype == REPLY_DTYPE:
            return batch
        records = np.zeros(len(batch), self._dtype)
        rows = records.view(np.uint8).reshape(len(batch), self._dtype.itemsize)
        rows[:, : REPLY_DTYPE.itemsize] = batch.view(np.uint8).reshape(len(batch), REPLY_DTYPE.itemsize)
        records["protocol"] = first_data[0] if first_data else NO_DATA
        if "data" in (self._dtype.names or ()) and first_data:
            records["data_bytes"] = first_data[1]
            rows[:, self._dtype.itemsize - self._dtype["data"].itemsize :] = first_data[2]
            spool.clear_rest(records)
        return records

    def block(self, block: NDArray[np.uint8], packets: int) -> None:
        """Write every packet of a receive block, accepted or not."""
        if self._packets is None or not packets or self._packets.problem is not None:
            return
        if len(self._records) < len(block):
            self._records = np.zeros(len(block), np.uint8)
        used = pcap.pack_records(block, self._records, self._ethernet)
        self._packets.append(self._records[:used], packets, read_le32(self._records, 0) // 3600)

    def close(self) -> LogEnd:
        """Close the files and return how the log ended; call `wait` afterwards."""
        streams = [stream for stream in (self._replies, self._packets) if stream is not None]
        for stream in streams:
            stream.close()
        problems = [stream.problem for stream in streams if stream.problem is not None]
        return LogEnd(packets=self._packets.entries if self._packets else {}, problems=problems)

    def wait(self) -> None:
        """Wait until all replies that can be are in Parquet."""
        if self._converter is not None:
            self._converter.close()


def warm_up() -> None:
    """Compile the kernel of writing, or load it from its cache."""
    block = pack_block([(0, bytes(60))])
    records = np.zeros(len(block), np.uint8)
    pcap.pack_records(block, records, ethernet=True)
    read_le32(records, 0)


def load(mode: Mode) -> None:
    """Load the modules that `settle` and the converter need, for a process that may not read files later."""
    if mode in ("parquet", "both"):
        import duckdb  # noqa: F401, PLC0415 - only those who keep or query a log wait for it to load
    if mode in ("pcap", "both"):
        stream = io.BytesIO(pcap.HEADER + bytes(pcap.RECORD_BYTES))
        for _ in Capture("nothing", stream.read, EVERYTHING).blocks():
            pass


def settle(directory: Path, mode: Mode, end: LogEnd, replies: int, packets: int) -> Log:
    """Convert the remaining spools of a run that has ended, and return the record of its log.

    `end` is what the receivers reported (those that died did not), `replies` and `packets` are how many were accepted
    and received.
    """
    missing: list[str] = []
    problems: list[str] = []
    files: list[LogFile] = []
    if mode in ("parquet", "both"):
        problems += _convert_left(directory / REPLIES)
        kept = list(_listed(directory, REPLIES, {}))
        missing += _missing(replies, kept, "replies")
        files += kept
    if mode in ("pcap", "both"):
        kept = list(_listed(directory, PACKETS, end.packets))
        missing += _missing(packets, kept, "packets")
        files += kept
    if missing:
        why = "; ".join(dict.fromkeys(end.problems)) or "files of it are gone"
        problems.append(f"the log lacks {' and '.join(missing)}: {why}")
    return Log(complete=not missing, problems=problems, files=files)


def _missing(expected: int, kept: Sequence[LogFile], what: str) -> list[str]:
    found = sum(file.rows for file in kept)
    return [f"{expected - found:,} of {expected:,} {what}"] if found < expected else []


def _convert_left(folder: Path) -> list[str]:
    """Convert the spools that are left; return what went wrong."""
    problems = []
    for temporary in folder.glob(f".*{parquet.TEMPORARY}"):
        with suppress(OSError):
            temporary.unlink()
    for path in sorted(folder.glob(f"*{spool.SUFFIX}")):
        try:
            parquet.convert_spool(path)
        except LivenessError as error:
            problems.append(str(error))
    return problems


def _listed(directory: Path, folder: str, packets_of: dict[str, int]) -> Iterator[LogFile]:
    """Yield the files of a log on disk; one that cannot be read counts as empty."""
    for path in sorted((directory / folder).glob("[!.]*")):
        try:
            rows = packets_of[path.name] if path.name in packets_of else _rows(path)
            yield LogFile(file=f"{folder}/{path.name}", rows=rows, bytes=path.stat().st_size)
        except (OSError, LivenessError):
            continue


def _rows(path: Path) -> int:
    if path.suffix == parquet.SUFFIX:
        return parquet.count_rows(path)
    if path.suffix == spool.SUFFIX:
        return len(spool.read_spool(path).replies)
    return count_packets(path)
