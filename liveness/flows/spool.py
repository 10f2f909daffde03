"""Spool of a collector: flows appended as they arrive, so that a kill loses at most the last second.

A file is a magic of eight bytes and parts. A part is a head of 16 bytes (magic, kind, size, CRC-32) and either records
or the names of exporters that have come since.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import numpy as np

from liveness.errors import LivenessError, UsageError
from liveness.flows.record import FLOW_DTYPE, Flows, Input, Notes

MAGIC: Final = b"LVFLOW1\n"
PART: Final = "<IIII"
PART_BYTES: Final = 16
PART_MAGIC: Final = 0x1F10F10F
RECORDS, NAMES = 1, 2
MOST_RECORDS: Final = 1 << 20
MOST_NAME_BYTES: Final = 1 << 20
TORN: Final = "bytes of a part that was not written to its end"


class SpoolWriter:
    """Appends flows to a spool."""

    def __init__(self, path: Path, notes: Notes) -> None:
        """Make the file. FileExistsError if there is one, LivenessError if the disk refuses."""
        self.path = path
        self.records = 0
        self._notes = notes
        self._named = 0
        try:
            self._file: BinaryIO = path.open("xb")
            self._file.write(MAGIC)
            self._file.flush()
        except FileExistsError:
            raise
        except OSError as error:
            raise LivenessError(f"{path}: cannot write: {error.strerror}") from error

    def append(self, flows: Flows) -> None:
        """Append records, and before them the names of exporters that they need."""
        try:
            names = self._notes.exporter_names()[self._named :]
            if names:
                self._part(NAMES, len(names), json.dumps(names).encode())
                self._named += len(names)
            for first in range(0, len(flows), MOST_RECORDS):
                part = flows[first : first + MOST_RECORDS]
                self._part(RECORDS, len(part), np.ascontiguousarray(part).tobytes())
            self._file.flush()
        except OSError as error:
            raise LivenessError(f"{self.path}: cannot write: {error.strerror}") from error
        self.records += len(flows)

    def _part(self, kind: int, count: int, content: bytes) -> None:
        size = len(content) if kind == NAMES else count
        self._file.write(struct.pack(PART, PART_MAGIC, kind, size, zlib.crc32(content)) + content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def recognise(head: bytes) -> bool:
    """Return whether a file begins as a spool does."""
    return head.startswith(MAGIC)


def _names(content: bytes) -> list[str] | None:
    """Return the names of exporters in a part; None if it holds anything else."""
    try:
        return msgspec.json.decode(content, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read(source: Input, notes: Notes) -> Iterator[Flows]:
    """Yield the flows of a spool. UsageError if it is none.

    An end that a kill has torn is what spools are for: its bytes are counted. Anything else that is wrong is damage.
    """
    if source.take(len(MAGIC)) != MAGIC:
        raise UsageError(f"{source.name}: not a collector's spool")
    numbers: list[int] = []
    while head := source.take(PART_BYTES):
        at = source.offset - len(head)
        if len(head) < PART_BYTES:
            notes.undecoded[TORN] += len(head)
            return
        magic, kind, size, check = struct.unpack(PART, head)
        limit = MOST_RECORDS if kind == RECORDS else MOST_NAME_BYTES
        if magic != PART_MAGIC or kind not in (RECORDS, NAMES) or size > limit:
            notes.damage.append(f"{source.name}: byte {at:,}: no part of a spool: the rest is left out")
            return
        size *= FLOW_DTYPE.itemsize if kind == RECORDS else 1
        content = source.take(size)
        if len(content) < size:
            notes.undecoded[TORN] += PART_BYTES + len(content)
            return
        if zlib.crc32(content) != check:
            notes.damage.append(f"{source.name}: the part at byte {at:,} is damaged: the rest is left out")
            return
        if kind == NAMES:
            names = _names(content)
            if names is None:
                notes.damage.append(f"{source.name}: the part at byte {at:,} has no names: the rest is left out")
                return
            numbers += [notes.exporter(name) for name in names]
            continue
        flows = np.frombuffer(content, FLOW_DTYPE).copy()
        if len(flows) and int(flows["exporter"].max()) >= len(numbers):
            notes.damage.append(f"{source.name}: the part at byte {at:,} names no exporter: the rest is left out")
            return
        flows["exporter"] = np.array(numbers, np.uint32)[flows["exporter"]]
        yield flows
