"""Reads flows from packet captures: the exports that a capture carries, or else its packets through the meter.

The beginning of a capture (some megabytes) decides: where datagrams to the ports of collectors decode as exports it is
a capture of exports, and nothing else in it is metered.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.exports import Exports
from liveness.flows.meter import Meter
from liveness.flows.record import BATCH_RECORDS, PROTOCOL_UDP, Flows, Input, Notes, open_input
from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets import pcap, pcapng
from liveness.packets.block import captured_length, first_packet, frame_start, next_packet, packet_count
from liveness.packets.bytes import read_be16, read_be32
from liveness.packets.capture import EVERYTHING, GZIP_MAGIC, Capture
from liveness.space.addresses import format_address

EXPORT_PORTS: Final = (2055, 4739, 9995, 9996)
_UDP_HEADER_BYTES: Final = 8


@kernel
def find_datagrams(block: NDArray[np.uint8], ports: NDArray[np.int64], found: NDArray[np.int64]) -> int:
    """Note the UDP datagrams to these ports in a receive block; return how many.

    `found` gets a row for each: where its payload begins and ends in the block, and its source address.
    """
    at = first_packet(block)
    count = 0
    for _ in range(packet_count(block)):
        frame = frame_start(block, at)
        end = frame + captured_length(block, at)
        at = next_packet(block, at)
        ip = frame + hdr.ETHERNET_LENGTH
        if end - ip < hdr.IPV4_MIN_LENGTH or read_be16(block, ip - 2) != hdr.ETHERTYPE_IPV4:
            continue
        udp = ip + (int64(block[ip]) & 15) * 4
        # a fragmented datagram is not put together: exporters keep to the MTU
        if int64(block[ip + hdr.IPV4_PROTOCOL]) != PROTOCOL_UDP or read_be16(block, ip + 6) & 0x3FFF != 0:
            continue
        if end - udp < _UDP_HEADER_BYTES:
            continue
        port = read_be16(block, udp + 2)
        wanted = False
        for i in range(len(ports)):
            wanted = wanted or ports[i] == port
        stop = udp + read_be16(block, udp + 4)
        if wanted and count < len(found) and stop > udp + _UDP_HEADER_BYTES:
            found[count, 0] = udp + _UDP_HEADER_BYTES
            found[count, 1] = min(end, stop)
            found[count, 2] = read_be32(block, ip + hdr.IPV4_SOURCE)
            count += 1
    return count


def recognise(head: bytes) -> bool:
    """Return whether a file begins as a capture does. A gzipped one is taken for one."""
    return head[:4] in pcap.MAGICS or head[:4] == pcapng.MAGIC or head[:2] == GZIP_MAGIC


def read(
    source: Input, notes: Notes, ports: tuple[int, ...] = EXPORT_PORTS, *, forced: bool = False
) -> Iterator[Flows]:
    """Yield the flows of a capture: of the exports in it, or of its packets.

    With `forced` it is a capture of exports, whatever is in it. UsageError if it is no capture.
    """
    capture = Capture(source.name, source.take, EVERYTHING)
    decoder = Exports(notes)
    meter: Meter | None = None
    wanted = np.array(ports, np.int64)
    first = True
    for block in capture.blocks():
        if meter is None:
            _decode(block, wanted, decoder)
            if first and not forced and decoder.datagrams == 0:
                meter = Meter(notes, notes.exporter(source.name))
            first = False
        if meter is not None:
            yield from meter.feed(block)
        elif decoder.ready >= BATCH_RECORDS:
            yield decoder.take()
    yield from decoder.rest()
    if meter is not None:
        yield meter.finish()
        _note_evictions(meter, notes)
    notes.damage += capture.unread


def meter_files(
    paths: Iterable[str], notes: Notes, idle_s: float, active_s: float, table_flows: int
) -> Iterator[Flows]:
    """Yield the flows of the packets of captures, exports among them like any other packets."""
    for path in paths:
        with open_input(path) as source:
            capture = Capture(source.name, source.take, EVERYTHING)
            meter = Meter(notes, notes.exporter(source.name), idle_s, active_s, table_flows)
            for block in capture.blocks():
                yield from meter.feed(block)
            yield meter.finish()
            _note_evictions(meter, notes)
            notes.damage += capture.unread


def _note_evictions(meter: Meter, notes: Notes) -> None:
    if meter.evicted:
        notes.undecoded["flows split because the table was full"] += meter.evicted


def _decode(block: NDArray[np.uint8], ports: NDArray[np.int64], decoder: Exports) -> None:
    found = np.zeros((packet_count(block), 3), np.int64)
    for begin, end, address in found[: find_datagrams(block, ports, found)].tolist():
        decoder.feed(block[begin:end].tobytes(), format_address(address))
