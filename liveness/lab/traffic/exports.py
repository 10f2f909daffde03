"""Exports of flow records as NetFlow v5, NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) datagrams in a capture file.

Written from the specifications; it shares no code with the readers of `flows/`.
"""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import Flows
from liveness.lab.traffic.packets import ETHERNET, MAGIC

VERSIONS: Final = ("v5", "v9", "ipfix")
COLLECTOR: Final = 0xC0000201
"""192.0.2.1 (TEST-NET-1, RFC 5737); exporter n is n + 1 addresses above it."""
PORT: Final = 2055
TEMPLATE_ID: Final = 256
V5_RECORDS: Final = 30
TEMPLATE_RECORDS: Final = 24
TEMPLATE_EVERY: Final = 20
"""Datagrams between two of the template."""
UNTIL_TEMPLATE: Final = 3
"""Datagrams of each exporter that come before its first template, where that is wanted."""
BOOT_MS: Final = 3_600_000
"""Age of an exporter when its first datagram goes out. Records that began before it have the time 0 of v5 and v9."""
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000

_V5: Final = np.dtype(
    [("src", ">u4"), ("dst", ">u4"), ("next_hop", ">u4"), ("input", ">u2"), ("output", ">u2"), ("packets", ">u4"),
     ("bytes", ">u4"), ("first", ">u4"), ("last", ">u4"), ("sport", ">u2"), ("dport", ">u2"), ("pad", "u1"),
     ("flags", "u1"), ("protocol", "u1"), ("tos", "u1"), ("as", ">u4"), ("masks", ">u2"), ("pad2", ">u2")]
)  # fmt: skip
_V9: Final = np.dtype(
    [("src", ">u4"), ("dst", ">u4"), ("sport", ">u2"), ("dport", ">u2"), ("protocol", "u1"), ("flags", "u1"),
     ("icmp", ">u2"), ("packets", ">u8"), ("bytes", ">u8"), ("first", ">u4"), ("last", ">u4")]
)  # fmt: skip
_V9_FIELDS: Final = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (32, 2), (2, 8), (1, 8), (22, 4), (21, 4))
_IPFIX: Final = np.dtype([*((name, _V9[name]) for name in (_V9.names or ())[:9]), ("first", ">u8"), ("last", ">u8")])
_IPFIX_FIELDS: Final = (*_V9_FIELDS[:9], (152, 8), (153, 8))


def export_capture(flows: Flows, version: str, *, late_template: bool) -> Iterator[bytes]:
    """Yield the parts of a capture of the datagrams that carry these records, in their order.

    Each exporter numbers its own datagrams. `late_template`: the first template of each exporter comes only with its
    fourth datagram.
    """
    yield struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, 1 << 16, ETHERNET)
    size = V5_RECORDS if version == "v5" else TEMPLATE_RECORDS
    exporters = [
        Exporter(number, version, late_template=late_template)
        for number in range(int(flows["exporter"].max(initial=0)) + 1)
    ]
    boots_ms = int(flows["start_ns"].min(initial=1 << 62)) // _NS_PER_MS - BOOT_MS
    waiting: list[list[Flows]] = [[] for _ in exporters]
    for first in range(0, len(flows), size):
        part = flows[first : first + size]
        for number, exporter in enumerate(exporters):
            own = part[part["exporter"] == number]
            if len(own):
                waiting[number].append(own)
                if sum(map(len, waiting[number])) >= size:
                    own = np.concatenate(waiting[number])
                    waiting[number] = [own[size:]] if len(own) > size else []
                    yield exporter.frame(own[:size], boots_ms)
    for exporter, parts in zip(exporters, waiting, strict=True):
        if parts:
            yield exporter.frame(np.concatenate(parts), boots_ms)


class Exporter:
    """One exporter: its address, sequence numbers and templates sent."""

    def __init__(self, number: int, version: str, *, late_template: bool) -> None:
        """Begin with no datagram sent."""
        self._address = COLLECTOR + 1 + number
        self._version = version
        self._datagrams = 0
        self._records = 0
        self._quiet = UNTIL_TEMPLATE if late_template else 0

    def frame(self, flows: Flows, boots_ms: int) -> bytes:
        """Return a capture's record of the next datagram, exported a second after the last packet of its flows."""
        export_ms = int(flows["end_ns"].max()) // _NS_PER_MS + 1000
        make = {"v5": self._v5, "v9": self._v9, "ipfix": self._ipfix}[self._version]
        datagram = make(flows, boots_ms, export_ms)
        self._datagrams += 1
        self._records += len(flows)
        return _in_frame(datagram, self._address, export_ms)

    def _v5(self, flows: Flows, boots_ms: int, export_ms: int) -> bytes:
        rows = np.zeros(len(flows), _V5)
        _fill(rows, flows)
        _fill_uptimes(rows, flows, boots_ms)
        head = struct.pack(
            ">HHIIIIBBH", 5, len(flows), export_ms - boots_ms, export_ms // 1000, export_ms % 1000 * _NS_PER_MS,
            self._records, 0, 0, 0,
        )  # fmt: skip
        return head + rows.tobytes()

    def _v9(self, flows: Flows, boots_ms: int, export_ms: int) -> bytes:
        rows = np.zeros(len(flows), _V9)
        _fill(rows, flows)
        _fill_uptimes(rows, flows, boots_ms)
        sets, count = self._sets(rows, _V9_FIELDS, template_set=0)
        # The header has whole seconds: the uptime is that of the same instant, so that no time is off by a fraction.
        export_s = -(-export_ms // 1000)
        head = struct.pack(">HHIIII", 9, count, export_s * 1000 - boots_ms, export_s, self._datagrams, 0)
        return head + sets

    def _ipfix(self, flows: Flows, _boots_ms: int, export_ms: int) -> bytes:
        rows = np.zeros(len(flows), _IPFIX)
        _fill(rows, flows)
        rows["first"], rows["last"] = flows["start_ns"] // _NS_PER_MS, flows["end_ns"] // _NS_PER_MS
        sets, _ = self._sets(rows, _IPFIX_FIELDS, template_set=2)
        return struct.pack(">HHIII", 10, 16 + len(sets), export_ms // 1000, self._records, 0) + sets

    def _sets(
        self, rows: NDArray[np.void], fields: tuple[tuple[int, int], ...], template_set: int
    ) -> tuple[bytes, int]:
        """Return the sets of a datagram, the template first where it is due, and how many records are in them."""
        data = rows.tobytes()
        padding = -len(data) % 4
        sets = struct.pack(">HH", TEMPLATE_ID, 4 + len(data) + padding) + data + bytes(padding)
        if self._datagrams < self._quiet or (self._datagrams - self._quiet) % TEMPLATE_EVERY:
            return sets, len(rows)
        described = b"".join(struct.pack(">HH", *field) for field in fields)
        head = struct.pack(">HHHH", template_set, 8 + len(described), TEMPLATE_ID, len(fields))
        return head + described + sets, len(rows) + 1


def _fill(rows: NDArray[np.void], flows: Flows) -> None:
    for name in ("src", "dst", "sport", "dport", "protocol", "flags", "packets", "bytes"):
        rows[name] = flows[name]
    if "icmp" in (rows.dtype.names or ()):
        icmp = flows["protocol"] == 1
        rows["icmp"][icmp] = flows["dport"][icmp]
        rows["dport"][icmp] = 0


def _fill_uptimes(rows: NDArray[np.void], flows: Flows, boots_ms: int) -> None:
    rows["first"] = flows["start_ns"] // _NS_PER_MS - boots_ms
    rows["last"] = flows["end_ns"] // _NS_PER_MS - boots_ms


def _in_frame(datagram: bytes, source: int, time_ms: int) -> bytes:
    udp = struct.pack(">HHHH", 40_000, PORT, 8 + len(datagram), 0) + datagram
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, COLLECTOR)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    frame = bytes.fromhex("0200000000020200000000010800") + head + udp
    return struct.pack("<IIII", time_ms // 1000, time_ms % 1000 * 1000, len(frame), len(frame)) + frame
