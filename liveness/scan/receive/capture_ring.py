"""Receive ring over capture files: gives a receiver the packets of files or streams as if they came from a network."""

import os
import select
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UsageError
from liveness.net.ring import RxStatistics
from liveness.packets.capture import Capture
from liveness.system.bpf import Program

STREAM: Final = "-"
SUFFIXES: Final = (".pcap", ".pcapng", ".cap")
ZIPPED: Final = ".gz"
LOOK_EVERY_S: Final = 0.1


def captures_in(paths: Sequence[Path]) -> list[Path]:
    """Return the captures that paths name: files themselves, and those in a directory, by suffix and sorted by name.

    Raises UsageError if a path does not exist or a directory holds no capture.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.name.removesuffix(ZIPPED).endswith(SUFFIXES))
            if not inside:
                raise UsageError(f"{path}: no capture in this directory (*{', *'.join(SUFFIXES)})")
            found += inside
        elif str(path) == STREAM or path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such capture")
    return found


class CaptureRing:
    """RxRing that reads captures, one after the other, and passes the packets that the filter `program` accepts.

    While a stream is silent, `stopped` is called several times a second; reading ends when it returns True.
    """

    ethernet = True

    def __init__(
        self,
        paths: Sequence[Path],
        program: Program,
        stopped: Callable[[], bool],
        on_progress: Callable[[int], None],
    ) -> None:
        self.captures: list[Capture] = []
        """Captures that were opened so far."""
        self._error: LivenessError | None = None
        self._paths = paths
        self._program = program
        self._stopped = stopped
        self._on_progress = on_progress
        self._current: NDArray[np.uint8] | None = None
        self._blocks = self._read()

    @property
    def packets(self) -> int:
        """Number of packets read so far from all captures."""
        return sum(capture.packets for capture in self.captures)

    @property
    def passed(self) -> int:
        """Number of packets that the filter accepted."""
        return sum(capture.passed for capture in self.captures)

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:  # noqa: ARG002 - part of RxRing; files never wait
        """Return the next block, or None when all captures have been read: see RxRing."""
        if self._current is None:
            try:
                self._current = next(self._blocks, None)
            except LivenessError as error:
                self._error = error
            self._on_progress(self.packets)
        return self._current

    def check(self) -> None:
        """Raise the error that ended reading early. `blocks` does not: the receiver sees only the end."""
        if self._error is not None:
            raise self._error

    def release(self) -> None:
        """Forget the current block."""
        self._current = None

    def statistics(self) -> RxStatistics:
        """Return the counters so far. Drops are 0: a capture does not say what it lost."""
        return RxStatistics(self.passed, 0, 0)

    def fileno(self) -> int:
        """Return -1: there is no descriptor to wait for."""
        return -1

    def close(self) -> None:
        """Close the capture that is open."""
        self._blocks.close()

    def _read(self) -> Generator[NDArray[np.uint8], None, None]:
        for path in self._paths:
            if self._stopped():
                return
            is_stream = str(path) == STREAM
            name = "standard input" if is_stream else str(path)
            try:
                descriptor = 0 if is_stream else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise UsageError(f"{name}: cannot read this capture: {error.strerror}") from error
            size = os.fstat(descriptor).st_size or None
            capture = Capture(name, partial(self._read_some, descriptor), self._program, size)
            self.captures.append(capture)
            try:
                yield from capture.blocks()
            finally:
                if not is_stream:
                    with suppress(OSError):
                        os.close(descriptor)

    def _read_some(self, descriptor: int, count: int) -> bytes:
        while not self._stopped():
            if select.select([descriptor], [], [], LOOK_EVERY_S)[0]:
                return os.read(descriptor, count)
        return b""
