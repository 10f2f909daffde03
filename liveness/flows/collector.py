"""Collector of exports over UDP: a spool at once, and after every interval a Parquet file, written by another process.

What the socket's queue could not hold is counted by the kernel (SO_RXQ_OVFL), what was lost before by the exporters'
sequence numbers. Intervals are aligned to UTC multiples. A spool that a kill left becomes a file at the next start.
"""

import itertools
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liveness.errors import LivenessError, UsageError
from liveness.flows import announced
from liveness.flows.exports import Exports
from liveness.flows.record import BATCH_RECORDS, Notes
from liveness.flows.spool import SpoolWriter

SPOOL_SUFFIX: Final = ".spool"
CONVERTED_SUFFIX: Final = ".parquet"
TEMPLATES_FILE: Final = "templates.json"
RECEIVE_BUFFER_BYTES: Final = 64 << 20
LONGEST_DATAGRAM: Final = 65_535
SO_RCVBUFFORCE: Final = 33
SO_RXQ_OVFL: Final = 40
POLL_S: Final = 0.2
APPEND_EVERY_S: Final = 1.0
_BURST_DATAGRAMS: Final = 256
_ANCILLARY_BYTES: Final = 64


@dataclass(slots=True)
class Collector:
    """One collector: a UDP port and a folder."""

    folder: Path
    address: str
    port: int
    interval_s: int
    notify: Callable[[str], None]
    """Called with a line for people."""
    notes: Notes = field(default_factory=Notes)
    datagrams: int = 0
    unrecognised: int = 0
    """Datagrams that were no exports."""
    overflows: int = 0
    """Datagrams that the socket's queue could not hold."""
    flows: int = 0
    stopping: bool = False
    _exports: Exports | None = None
    _converting: list[tuple[Path, "subprocess.Popen[bytes]"]] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Flows, datagrams or records that exporters' sequence numbers show to be missing."""
        return 0 if self._exports is None else self._exports.lost

    def open(self) -> socket.socket:
        """Bind the port, with as large a queue as the kernel allows. UsageError if it cannot be bound."""
        handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            try:
                handle.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
            except PermissionError:
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            handle.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
            handle.bind((self.address, self.port))
        except OSError as error:
            handle.close()
            raise UsageError(f"cannot listen on {self.address} port {self.port}: {error.strerror}") from error
        handle.settimeout(POLL_S)
        return handle

    def run(self, handle: socket.socket) -> None:
        """Collect until `stopping`. LivenessError if the disk refuses."""
        self._exports = exports = Exports(self.notes)
        templates = self.folder / TEMPLATES_FILE
        announced.load(exports, templates)
        for left in sorted(self.folder.glob(f"*{SPOOL_SUFFIX}")):
            self._convert(left)
        spool = self._begin_spool()
        ends_s = self._next_end_s()
        append_s = time.monotonic() + APPEND_EVERY_S
        try:
            while not self.stopping:
                self._receive(handle, exports)
                if exports.ready >= BATCH_RECORDS or time.monotonic() >= append_s:
                    self._append(spool, exports)
                    append_s = time.monotonic() + APPEND_EVERY_S
                if not ends_s - self.interval_s <= time.time() < ends_s:  # over, or the clock was set back
                    self._append(spool, exports)
                    spool.close()
                    self._convert(spool.path)
                    announced.save(exports, templates)
                    spool, ends_s = self._begin_spool(), self._next_end_s()
            exports.finish()
            self._append(spool, exports)
            announced.save(exports, templates)
        finally:
            spool.close()
        self._convert(spool.path)
        self._await_conversions(all_of_them=True)

    def _receive(self, handle: socket.socket, exports: Exports) -> None:
        """Take the datagrams that have arrived, up to a burst; wait a moment for the first."""
        for count in range(_BURST_DATAGRAMS):
            try:
                data, ancillary, _, sender = handle.recvmsg(
                    LONGEST_DATAGRAM, _ANCILLARY_BYTES, socket.MSG_DONTWAIT if count else 0
                )
            except (TimeoutError, BlockingIOError, InterruptedError):
                return
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
                    (self.overflows,) = struct.unpack("I", content)
            self.datagrams += 1
            if not exports.feed(data, sender[0]):
                self.unrecognised += 1
            if exports.ready >= BATCH_RECORDS:
                return

    def _append(self, spool: SpoolWriter, exports: Exports) -> None:
        if exports.ready:
            flows = exports.take()
            self.flows += len(flows)
            spool.append(flows)

    def _begin_spool(self) -> SpoolWriter:
        """Begin a spool named by the current time, with a number if there is a file of this name already.

        That is so when a collector is started twice within a second, or when the clock was set back.
        """
        began = time.strftime("flows-%Y-%m-%dT%H%M%SZ", time.gmtime(int(time.time())))
        for number in itertools.count(1):
            path = self.folder / f"{began}{'' if number == 1 else f'-{number}'}{SPOOL_SUFFIX}"
            if path.with_suffix(CONVERTED_SUFFIX).exists():  # it would be replaced
                continue
            with suppress(FileExistsError):
                return SpoolWriter(path, self.notes)
        raise AssertionError("there is always another number")

    def _next_end_s(self) -> int:
        return (int(time.time()) // self.interval_s + 1) * self.interval_s

    def _convert(self, spool: Path) -> None:
        """Start a process of low priority that turns a spool into a Parquet file and then removes the spool."""
        self._await_conversions(all_of_them=False)
        command = [
            sys.executable,
            "-m",
            "liveness",
            "flows",
            "convert",
            str(spool),
            "-o",
            f"{spool.with_suffix(CONVERTED_SUFFIX)}",
        ]
        with suppress(OSError):  # out of processes: the spool stays, and the next start takes it
            process = subprocess.Popen(
                [*command, "--remove-input"],
                stdout=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                preexec_fn=_low_priority,  # noqa: PLW1509 - no threads here
                start_new_session=True,
            )
            self._converting.append((spool, process))

    def _await_conversions(self, *, all_of_them: bool) -> None:
        for spool, process in list(self._converting):
            code = process.wait() if all_of_them else process.poll()
            if code is not None:
                self._converting.remove((spool, process))
                if code:
                    self.notify(f"{spool}: turning this spool into Parquet ended with exit code {code}: it stays")


def _low_priority() -> None:
    os.nice(10)


def make_folder(path: Path) -> None:
    """Make the collector's folder if need be. LivenessError if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LivenessError(f"{path}: cannot make this folder: {error.strerror}") from error
