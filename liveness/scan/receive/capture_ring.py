"""A receive ring over captures: gives a receiver the packets of files or streams as if they came in."""

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
    """Return the captures that paths name: files as they are, those of a directory by their suffix and in order.

    UsageError names a path that is not there, or a directory without a capture.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.name.removesuffix(ZIPPED).endswith(SUFFIXES))
            if not inside:
                raise UsageError(f"{path}: no capture in this directory (*{', *'.join(SUFFIXES)})")
            found += inside
        elif str(path) == STREAM or path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such capture")
    return found


class CaptureRing:
    """An RxRing whose packets are those of captures that `program` lets pass, one capture after the other.

    `stopped` is asked while a stream is silent: what is waited for then is given up.
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
        """Those begun so far."""
        self._error: LivenessError | None = None
        self._paths = paths
        self._program = program
        self._stopped = stopped
        self._on_progress = on_progress
        self._current: NDArray[np.uint8] | None = None
        self._blocks = self._read()

    @property
    def packets(self) -> int:
        """Packets read so far, from all captures."""
        return sum(capture.packets for capture in self.captures)

    @property
    def passed(self) -> int:
        """Those that the filter let pass."""
        return sum(capture.passed for capture in self.captures)

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:  # noqa: ARG002 - a ring's; a file never waits
        """Return the next block, None when all captures have been read: see RxRing."""
        if self._current is None:
            try:
                self._current = next(self._blocks, None)
            except LivenessError as error:
                self._error = error
            self._on_progress(self.packets)
        return self._current

    def check(self) -> None:
        """Raise the error for which reading ended early: a receiver is told of the end alone."""
        if self._error is not None:
            raise self._error

    def release(self) -> None:
        """Forget the current block."""
        self._current = None

    def statistics(self) -> RxStatistics:
        """Return the counters so far: what a capture lost it does not say."""
        return RxStatistics(self.passed, 0, 0)

    def fileno(self) -> int:
        """Return no descriptor: there is nothing to wait for."""
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
