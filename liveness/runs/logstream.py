"""A log written while a scan runs: a new file each hour or after some size, and an end before the disk is full."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

MIB: Final = 1 << 20
RESERVE_SHARE: Final = 50
"""One part in so many of a file system is left free by logs, for sets and manifest."""
LEAST_RESERVE: Final = 4 * MIB
MOST_RESERVE: Final = 4096 * MIB
LOOK_EVERY_S: Final = 1.0
HOUR_NS: Final = 3_600_000_000_000


class LogEnd(msgspec.Struct, kw_only=True):
    """How a receiver's log ended: packets by pcap file, and why it ended early if it did."""

    packets: dict[str, int] = msgspec.field(default_factory=dict)
    problems: list[str] = msgspec.field(default_factory=list)

    def add(self, other: "LogEnd") -> None:
        """Add the end of another receiver's log."""
        self.packets |= other.packets
        self.problems += other.problems


def reserve_of(total_bytes: int) -> int:
    """Return how many bytes of a file system of this size a log leaves free."""
    return min(max(total_bytes // RESERVE_SHARE, LEAST_RESERVE), MOST_RESERVE)


def name_of(hour: int, receiver: int, number: int, suffix: str) -> str:
    """Return a log file's name, e.g. ``2026-11-21T13Z.0.000001.pcap``: its UTC hour (since 1970), receiver, number."""
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%dT%HZ}.{receiver}.{number:06d}{suffix}"


@dataclass(slots=True)
class LogStream:
    """The log of one receiver in one folder. The first failure ends the log, and never the scan.

    `header` begins every file, `max_bytes` is after how many of them the next one begins; `on_closed` is called with
    each finished file.
    """

    folder: Path
    suffix: str
    receiver: int
    header: bytes
    max_bytes: int
    on_closed: Callable[[Path], None] = lambda _path: None
    entries: dict[str, int] = field(default_factory=dict)
    """How many entries were written to each file, by its name."""
    problem: str | None = None
    """Why the log ended before the scan, if it did."""
    _path: Path = Path()
    _descriptor: int = -1
    _hour: int = 0
    _bytes: int = 0
    _unseen: int = 0
    _next_look: float = 0.0

    def append(self, data: NDArray[np.uint8], entries: int, hour: int) -> None:
        """Write the bytes of some entries of one hour (since 1970, UTC); nothing once the log has ended."""
        if self.problem is not None:
            return
        try:
            if self._descriptor < 0 or hour != self._hour or self._bytes >= self.max_bytes:
                self._begin(hour)
            if self._descriptor >= 0:
                self._write(data.data)
                self.entries[self._path.name] += entries
                self._look()
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def close(self) -> None:
        """End the last file."""
        if self._descriptor < 0:
            return
        self._next_look = 0.0
        self._look()
        self._end()

    def _begin(self, hour: int) -> None:
        self.close()
        if self.problem is not None:
            return
        if not self.entries:
            self.folder.mkdir(exist_ok=True)
        self._hour = hour
        number = len(self.entries) + 1
        while any(self.folder.glob(name_of(hour, self.receiver, number, ".*"))):
            number += 1  # a file of an earlier session, perhaps converted to another format
        self._path = self.folder / name_of(hour, self.receiver, number, self.suffix)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._bytes = self._unseen = 0
        self.entries[self._path.name] = 0
        self._next_look = 0.0
        self._write(memoryview(self.header))

    def _write(self, data: memoryview) -> None:
        written = 0
        while written < len(data):
            written += os.write(self._descriptor, data[written:])
        self._bytes += written
        self._unseen += written

    def _look(self) -> None:
        """Check from time to time that the file still exists and the disk is not nearly full."""
        if self._descriptor < 0 or (self._unseen < LEAST_RESERVE // 4 and time.monotonic() < self._next_look):
            return
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self._unseen = 0
        if os.fstat(self._descriptor).st_nlink == 0:
            self._give_up("removed while it was written")
            return
        disk = os.fstatvfs(self._descriptor)
        if disk.f_bavail * disk.f_frsize < reserve_of(disk.f_blocks * disk.f_frsize):
            self._give_up("the disk is full, but for what is kept free for the sets")

    def _give_up(self, why: str) -> None:
        self.problem = f"{self.folder.name}: {why}"
        if self._descriptor >= 0:
            with suppress(OSError):  # a partly written entry is removed, so that the file ends with a whole one
                os.ftruncate(self._descriptor, self._bytes)
            self._end()

    def _end(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1
        self.on_closed(self._path)
