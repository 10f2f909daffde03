"""Captures: pcap and pcapng, plain or gzipped, file or stream, as the receive blocks that a scan would have seen."""

import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UsageError
from liveness.packets import packing, pcap, pcapng
from liveness.packets.bpf_machine import loaded
from liveness.packets.link_types import CARRIER_NAMES, LINK_NAMES
from liveness.system.bpf import ACCEPT, RETURN, Instruction, Program, assemble

Read = Callable[[int], bytes]
"""Returns the next bytes of a stream, at most so many, and none at its end."""

CHUNK_BYTES: Final = 4 << 20
EVERYTHING: Final = assemble([Instruction(RETURN, ACCEPT)])

GZIP_MAGIC: Final = b"\x1f\x8b"


class Capture:
    """One capture as it is read, front to back, in bounded memory."""

    def __init__(self, name: str, read: Read, program: Program, size: int | None = None) -> None:
        """Take a stream called `name` in messages, of `size` bytes if that is known.

        Only packets that `program` accepts are in the blocks.
        """
        self.name = name
        self.unread: list[str] = []
        """What could not be read, a line each, filled in as reading proceeds."""
        self.passed = 0
        self._read = read
        self._size = size
        self._program = loaded(program)
        self._data = np.zeros(2 * CHUNK_BYTES, np.uint8)
        self._end = 0
        self._before = 0
        """Bytes of the stream that came before those in memory."""
        self._block = np.zeros(packing.BLOCK_BYTES, np.uint8)
        self._state = np.zeros(packing.STATE_FIELDS, np.int64)

    @property
    def packets(self) -> int:
        """Packets read so far."""
        return int(self._state[packing.PACKETS])

    @property
    def ipv4_packets(self) -> int:
        """How many of them were IPv4 and received."""
        return int(self._state[packing.IPV4])

    @property
    def cut_packets(self) -> int:
        """How many of them the snap length has cut."""
        return int(self._state[packing.CUT])

    @property
    def encapsulated(self) -> dict[str, int]:
        """How many of them had a carrier between Ethernet header and IP packet (MPLS, PPPoE, LLC), by its name."""
        counts = {name: int(self._state[packing.CARRIERS + carrier]) for carrier, name in CARRIER_NAMES.items()}
        return {name: count for name, count in counts.items() if count}

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """Yield receive blocks (TPACKET_V3), each in the memory of the one before.

        UsageError if this is no capture. Damage or a missing end stops it, and is noted in `unread`.
        """
        self._begin()
        magic = self._data[: min(self._end, 4)].tobytes()
        if magic == pcapng.MAGIC:
            yield from self._walk(pcapng.Section())
        elif magic not in pcap.MAGICS:
            what = f"it begins with {magic.hex()}" if magic else "it is empty"
            raise UsageError(f"{self.name}: not a capture: {what}: give a pcap or pcapng file")
        elif self._end < pcap.HEADER_BYTES:
            self.unread.append(f"{self.name}: cut within its header: nothing of it can be read")
        else:
            yield from self._walk(self._pcap(*pcap.MAGICS[magic]))

    def _begin(self) -> None:
        """Read the beginning, and decompress from there on if it is gzipped."""
        self._fill_header()
        if self._data[:2].tobytes() == GZIP_MAGIC:
            zipped = io.BufferedReader(_Rest(self._data[: self._end].tobytes(), self._read))
            self._read, self._end, self._size = gzip.GzipFile(fileobj=zipped).read1, 0, None
            self._fill_header()

    def _fill_header(self) -> None:
        while self._end < pcap.HEADER_BYTES and self._fill():
            pass

    def _pcap(self, order: str, unit_ns: int) -> pcap.Records:
        header = self._data[: pcap.HEADER_BYTES].tobytes()
        major, _minor, _zone, _accuracy, _snaplen, field = struct.unpack(order + "4xHHiIII", header)
        link = field & pcap.LINK_MASK
        if major != pcap.VERSION:
            raise UsageError(f"{self.name}: pcap of version {major}: version {pcap.VERSION} is read")
        if link not in LINK_NAMES:
            known = ", ".join(f"{number} ({name})" for number, name in LINK_NAMES.items())
            raise UsageError(f"{self.name}: packets of link type {link} are not read, only {known}")
        self._state[packing.POSITION] = pcap.HEADER_BYTES
        return pcap.Records(order, unit_ns, link)

    def _walk(self, walker: pcap.Records | pcapng.Section) -> Iterator[NDArray[np.uint8]]:
        while True:
            packing.begin_block(self._state)
            status = walker.take(self._data, self._end, self._program, self._block, self._state)
            if self._state[packing.COUNT]:
                packing.end_block(self._block, self._state)
                self.passed += int(self._state[packing.COUNT])
                yield self._block
            if status == packing.DAMAGED or (status == packing.MORE and not self._fill()):
                break
        at = self._before + int(self._state[packing.POSITION])
        left = self._before + self._end - at
        if status == packing.DAMAGED:
            unread = f"the {self._size - at:,} bytes" if self._size is not None and self._size > at else "what follows"
            self.unread.append(f"{self.name}: damaged at byte {at:,}: {unread} from there on cannot be read")
        elif left and not self.unread:  # otherwise `unread` has the reason already
            self.unread.append(f"{self.name}: cut: its last {left:,} bytes are no whole packet")
        self.unread += [f"{self.name}: {note}" for note in walker.notes]

    def _fill(self) -> bool:
        """Read the next bytes, in the room of those already consumed; return whether there were any."""
        if self._end + CHUNK_BYTES > len(self._data):
            position = int(self._state[packing.POSITION])
            rest = self._data[position : self._end].copy()
            if len(rest) + CHUNK_BYTES > len(self._data):
                self._data = np.zeros(2 * (len(rest) + CHUNK_BYTES), np.uint8)
            self._data[: len(rest)] = rest
            self._before += position
            self._end = len(rest)
            self._state[packing.POSITION] = 0
        try:
            more = self._read(CHUNK_BYTES)
        except (EOFError, zlib.error, OSError) as error:  # gzip's errors are all of these
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self.unread.append(f"{self.name}: cannot be read beyond {self._before + self._end:,} bytes: {why}")
            return False
        self._data[self._end : self._end + len(more)] = np.frombuffer(more, np.uint8)
        self._end += len(more)
        return bool(more)


class _Rest(io.RawIOBase):
    """A stream whose beginning has been read already."""

    def __init__(self, beginning: bytes, read: Read) -> None:
        self._beginning = beginning
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview[int]") -> int:  # type: ignore[override]  # what io hands over
        data = self._beginning[: len(buffer)] or self._read(len(buffer))
        self._beginning = self._beginning[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def count_packets(path: Path) -> int:
    """Return how many packets a capture holds, as far as it can be read. Raises LivenessError if it cannot at all."""
    try:
        with path.open("rb", buffering=0) as file:
            capture = Capture(str(path), lambda size: os.read(file.fileno(), size), EVERYTHING)
            for _ in capture.blocks():
                pass
    except OSError as error:
        raise LivenessError(f"{path}: cannot read this capture: {error.strerror}") from error
    return capture.packets
