"""The flow record: the dtype of all formats, and the notes of readers about what is no record.

A record is what one exporter saw of one direction of one conversation: IPv4 addresses, ports, counts, times. Formats
that describe both directions in one row yield two records. IPv6 records are counted and set aside.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.kernel import kernel

FLOW_DTYPE: Final = np.dtype(
    [
        ("start_ns", np.int64),  # ns since the epoch; of the first packet
        ("end_ns", np.int64),  # of the last packet
        ("packets", np.uint64),
        ("bytes", np.uint64),  # of IP packets, headers included
        ("src", np.uint32),  # host order
        ("dst", np.uint32),
        ("sport", np.uint16),  # 0 where the protocol has no ports
        ("dport", np.uint16),  # ICMP: type * 256 + code, where the format has no better place
        ("protocol", np.uint8),
        ("flags", np.uint8),  # TCP flags of all packets united
        ("first_flags", np.uint8),  # TCP flags of the first packet, 0 where the format does not say
        ("marks", np.uint8),  # MARK_* below
        ("exporter", np.uint32),  # index into Notes.exporters
        ("input", np.uint32),  # SNMP index of the interface, 0 unknown
        ("output", np.uint32),
        ("sampling", np.uint32),  # 1 of so many packets was looked at; 0 where the format does not say
    ]
)
"""64 bytes a flow."""

MARK_REVERSE: Final = 1
"""The record is the reverse direction of a row that describes both."""

MARK_QUOTE: Final = 2
"""The record is of ICMP errors that quote a flow from `dst`: `output` is the address it went to, `input` its ports
(source port * 65536 + destination port; 0 for protocols without), `first_flags` its protocol."""

PROTOCOL_ICMP: Final = 1
PROTOCOL_TCP: Final = 6
PROTOCOL_UDP: Final = 17

MOST_EXPORTERS: Final = 1 << 16
"""Exporters that have a number of their own: the sender's address in a datagram may be forged."""
OTHER_EXPORTERS: Final = "other exporters"
BATCH_RECORDS: Final = 1 << 16
READ_BYTES: Final = 1 << 20

Flow = Any
"""One record, as kernels see it: fields by name."""
Flows = NDArray[np.void]
"""A batch: an array of FLOW_DTYPE."""


def encodable(name: str) -> str:
    """Return a name, which may be that of a file, as UTF-8 can hold it: other bytes are shown as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


@dataclass(slots=True)
class Notes:
    """Notes of readers. The inputs of one command share them, and with them the numbers of exporters."""

    exporters: dict[str, int] = field(default_factory=dict)
    """Name of each exporter (address, and domain or engine where there are several), with its number in records."""
    undecoded: Counter[str] = field(default_factory=Counter)
    """What became no record, by reason: IPv6 records, data without a template, unknown types."""
    damage: list[str] = field(default_factory=list)
    """A line for each place at which an input is cut or damaged."""

    def exporter(self, name: str) -> int:
        """Return the number of an exporter, a new one if need be; one number for all beyond MOST_EXPORTERS."""
        name = encodable(name)
        if len(self.exporters) >= MOST_EXPORTERS and name not in self.exporters:
            name = OTHER_EXPORTERS
        return self.exporters.setdefault(name, len(self.exporters))

    def exporter_names(self) -> list[str]:
        """Return the exporters' names by number."""
        return list(self.exporters)


Read = Callable[[int], bytes]
"""Returns the next bytes of an input, fewer than requested only at its end."""


@dataclass(slots=True)
class Input:
    """An input that is read front to back, with its name for messages."""

    name: str
    read: Read
    offset: int = 0
    """Bytes taken so far, for messages about damage."""

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer only at the end."""
        data = self.read(size)
        self.offset += len(data)
        return data


Reader = Callable[[Input, Notes], Iterator[Flows]]
"""Yields the records of one input in batches, and notes what it could not decode. Raises UsageError if the input is
not of the reader's format; what comes before a damage is yielded, the damage noted."""


@kernel
def icmp_answer(kind: int) -> int:
    """Return ICMP type * 256 + code of the answer: that of an echo, timestamp or mask request has another type."""
    if kind >> 8 == 8:
        return kind & 255
    if kind >> 8 in (13, 17):
        return kind + 256
    return kind


def empty(count: int) -> Flows:
    """Return `count` records of zeros."""
    return np.zeros(count, FLOW_DTYPE)


@contextmanager
def open_input(path: str) -> Iterator[Input]:
    """Open a file, or standard input for ``-``. UsageError if it cannot be read."""
    if path == "-":
        yield Input("standard input", sys.stdin.buffer.read)
        return
    try:
        file = Path(path).open("rb", buffering=READ_BYTES)  # noqa: SIM115 - closed below; errors of opening are ours
    except OSError as error:
        raise UsageError(f"{path}: cannot read these flows: {error.strerror}") from error
    with file:
        yield Input(path, file.read)
