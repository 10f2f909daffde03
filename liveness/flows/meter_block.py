"""The meter's kernel: every packet of a receive block is added to the record of its flow, or begins another one."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import MARK_QUOTE, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Flows
from liveness.kernel import int64, kernel, uint64, unowned
from liveness.packets import headers as hdr
from liveness.packets.block import (
    capture_time_ns,
    captured_length,
    first_packet,
    frame_start,
    next_packet,
    packet_count,
    wire_length,
)
from liveness.packets.bytes import read_be16, read_be32

_SCTP: Final = 132
_UDP_LITE: Final = 136

LIVE, NOW_NS, PACKETS, IPV6, NOT_IP, DAMAGED, NEXT_PACKET, NEXT_AT, FINISHED = range(9)
"""Places in the meter's state: flows in the table, time of the newest packet, packets metered, packets passed over by
reason, the next packet of the block and where it lies, records that are finished."""
STATE_FIELDS: Final = 9


@kernel
def _slot_of(
    table: NDArray[np.int64], rows: Flows, src: int, dst: int, ports: int, protocol: int, to: int, quoted: int
) -> int:
    """Return the place of a flow in the table, or the free place where it belongs."""
    mask = uint64(len(table) - 1)
    mixed = uint64(uint64(src) << uint64(32) | uint64(dst)) * uint64(0x9E3779B97F4A7C15)
    mixed ^= (uint64(ports) << uint64(8) | uint64(protocol)) * uint64(0xC2B2AE3D27D4EB4F)
    mixed += uint64(uint64(to) << uint64(32) | uint64(quoted)) * uint64(0x9FB21C651E98DF25)
    mixed ^= mixed >> uint64(29)
    mixed *= uint64(0x165667B19E3779F9)
    mixed ^= mixed >> uint64(32)
    slot = mixed & mask
    while True:
        row = table[slot]
        if row < 0:
            return int64(slot)
        flow = rows[row]
        if (
            int64(flow["src"]) == src
            and int64(flow["dst"]) == dst
            and int64(flow["protocol"]) == protocol
            and (int64(flow["sport"]) << 16 | int64(flow["dport"])) == ports
            and int64(flow["output"]) == to
            and int64(flow["input"]) == quoted
        ):
            return int64(slot)
        slot = (slot + uint64(1)) & mask


@kernel
def rehash(table: NDArray[np.int64], rows: Flows, count: int) -> None:
    """Put the first `count` rows into an empty table."""
    for row in range(len(table)):
        table[row] = -1
    for row in range(count):
        flow = rows[row]
        ports = int64(flow["sport"]) << 16 | int64(flow["dport"])
        slot = _slot_of(
            table, rows, int64(flow["src"]), int64(flow["dst"]), ports, int64(flow["protocol"]),
            int64(flow["output"]), int64(flow["input"]),
        )  # fmt: skip
        table[slot] = row


@kernel
def _ports(data: NDArray[np.uint8], at: int, end: int, protocol: int) -> int:
    """Return source and destination port of a transport header, ICMP's type and code as the latter, else 0."""
    if protocol == PROTOCOL_ICMP:
        return int64(data[at]) << 8 | int64(data[at + 1]) if end - at >= 2 else 0
    ported = protocol in (PROTOCOL_TCP, PROTOCOL_UDP, _SCTP, _UDP_LITE)
    return read_be16(data, at) << 16 | read_be16(data, at + 2) if ported and end - at >= 4 else 0


@kernel
def _quote_at(data: NDArray[np.uint8], at: int, end: int, dst: int) -> int:
    """Return where the IP header begins that an ICMP error quotes; -1 if this is none, or quotes another's packet.

    An error is about a packet that its receiver sent; at least the ports of it must be there (RFC 792: 8 bytes).
    """
    quote = at + 8
    if end - quote < hdr.IPV4_MIN_LENGTH or int64(data[at]) not in (3, 4, 5, 11, 12) or int64(data[quote]) >> 4 != 4:
        return -1
    header = (int64(data[quote]) & 15) * 4
    if header < hdr.IPV4_MIN_LENGTH or end - quote < header + 4 or read_be32(data, quote + hdr.IPV4_SOURCE) != dst:
        return -1
    return quote


@kernel
def _ipv4_in(block: NDArray[np.uint8], packet: int, end: int, state: NDArray[np.int64]) -> tuple[int, int, int]:
    """Return where a packet's IPv4 header begins, how long it is, and how long the whole datagram is.

    The first is -1 for any other packet, which is counted in `state`. `end` is where the captured bytes end.
    """
    frame = frame_start(block, packet)
    ip = frame + hdr.ETHERNET_LENGTH
    ethertype = read_be16(block, ip - 2) if end >= ip else 0
    while ethertype in (hdr.ETHERTYPE_VLAN, hdr.ETHERTYPE_QINQ) and end - ip >= hdr.VLAN_TAG_LENGTH:
        ethertype = read_be16(block, ip + 2)
        ip += hdr.VLAN_TAG_LENGTH
    if ethertype != hdr.ETHERTYPE_IPV4:
        state[IPV6 if ethertype == hdr.ETHERTYPE_IPV6 else NOT_IP] += 1
        return -1, 0, 0
    header = (int64(block[ip]) & 15) * 4 if end - ip >= hdr.IPV4_MIN_LENGTH else 0
    if header < hdr.IPV4_MIN_LENGTH or int64(block[ip]) >> 4 != 4:
        state[DAMAGED] += 1
        return -1, 0, 0
    length = read_be16(block, ip + hdr.IPV4_TOTAL_LENGTH)
    if length == 0:  # segmentation offload leaves it so
        length = wire_length(block, packet) - (ip - frame)
    elif length < header:
        state[DAMAGED] += 1
        return -1, 0, 0
    return ip, header, length


@kernel
def _quoted(block: NDArray[np.uint8], quote: int, stop: int) -> tuple[int, int]:
    """Return the destination and the ports (source << 16 | destination) of the datagram that an ICMP error quotes."""
    inner = int64(block[quote + hdr.IPV4_PROTOCOL])
    ports = 0
    if inner != PROTOCOL_ICMP:
        ports = _ports(block, quote + (int64(block[quote]) & 15) * 4, stop, inner)
    return read_be32(block, quote + hdr.IPV4_SOURCE + 4), ports


@kernel
def meter_block(
    block: NDArray[np.uint8],
    rows: Flows,
    table: NDArray[np.int64],
    finished: Flows,
    state: NDArray[np.int64],
    idle_ns: int,
    active_ns: int,
    exporter: int,
) -> bool:
    """Meter the packets of a TPACKET_V3 block from the state's next packet on; return False where there is no room.

    Room is missing in `rows` (a new flow) or in `finished` (a record that ended). Called again, it continues there.
    """
    block, rows, table = unowned(block), unowned(rows), unowned(table)
    finished, state = unowned(finished), unowned(state)
    packets = packet_count(block)
    at = int64(state[NEXT_AT])
    if state[NEXT_PACKET] == 0:
        at = first_packet(block)
    while state[NEXT_PACKET] < packets:
        if state[LIVE] >= len(rows) or state[FINISHED] >= len(finished):
            state[NEXT_AT] = at
            return False
        _meter(block, at, rows, table, finished, state, idle_ns, active_ns, exporter)
        at = next_packet(block, at)
        state[NEXT_PACKET] += 1
    state[NEXT_PACKET] = 0
    return True


@kernel
def _meter(
    block: NDArray[np.uint8],
    packet: int,
    rows: Flows,
    table: NDArray[np.int64],
    finished: Flows,
    state: NDArray[np.int64],
    idle_ns: int,
    active_ns: int,
    exporter: int,
) -> None:
    """Add one packet to the record of its flow, or begin a record with it."""
    end = frame_start(block, packet) + captured_length(block, packet)
    now_ns = capture_time_ns(block, packet)
    ip, header, length = _ipv4_in(block, packet, end, state)
    if ip < 0:
        return
    stop = min(end, ip + length)
    protocol = int64(block[ip + hdr.IPV4_PROTOCOL])
    src, dst = read_be32(block, ip + hdr.IPV4_SOURCE), read_be32(block, ip + hdr.IPV4_SOURCE + 4)
    ports, flags, quote, to, quoted = 0, 0, -1, 0, 0
    if read_be16(block, ip + 6) & 0x1FFF == 0:  # a fragment after the first has no transport header
        transport = ip + header
        ports = _ports(block, transport, stop, protocol)
        if protocol == PROTOCOL_TCP and stop - transport > 13:
            flags = int64(block[transport + 13])
        elif protocol == PROTOCOL_ICMP:
            quote = _quote_at(block, transport, stop, dst)
    if quote >= 0:
        to, quoted = _quoted(block, quote, stop)
    state[PACKETS] += 1
    state[NOW_NS] = max(int64(state[NOW_NS]), now_ns)
    slot = _slot_of(table, rows, src, dst, ports, protocol, to, quoted)
    row = table[slot]
    if row >= 0:
        flow = rows[row]
        gap_ns, age_ns = now_ns - flow["end_ns"], now_ns - flow["start_ns"]
        if gap_ns <= idle_ns and age_ns < active_ns:
            flow["end_ns"] = max(int64(flow["end_ns"]), now_ns)
            flow["start_ns"] = min(int64(flow["start_ns"]), now_ns)
            flow["packets"] += uint64(1)
            flow["bytes"] += uint64(length)
            flow["flags"] |= np.uint8(flags)
            return
        finished[state[FINISHED]] = flow
        state[FINISHED] += 1
    else:
        row = int64(state[LIVE])
        state[LIVE] += 1
        table[slot] = row
    flow = rows[row]
    flow["start_ns"], flow["end_ns"] = now_ns, now_ns
    flow["packets"], flow["bytes"] = 1, length
    flow["src"], flow["dst"] = src, dst
    flow["sport"], flow["dport"] = ports >> 16, ports & 0xFFFF
    flow["protocol"] = protocol
    flow["flags"], flow["first_flags"] = flags, flags
    flow["exporter"] = exporter
    flow["output"], flow["input"], flow["marks"] = to, quoted, 0
    if quote >= 0:
        flow["marks"], flow["first_flags"] = MARK_QUOTE, block[quote + hdr.IPV4_PROTOCOL]
