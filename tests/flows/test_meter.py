"""The meter against a dictionary in plain Python, and what keeps its table bounded."""

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from liveness.flows.meter import Meter
from liveness.flows.record import Flows, Notes
from liveness.packets.block import pack_block
from tests.flows.traffic import joined

IDLE_NS, ACTIVE_NS = 10, 50

packets = st.lists(
    st.tuples(
        st.integers(0, 25),  # ns since the packet before
        st.integers(1, 3),  # source
        st.integers(1, 2),  # destination
        st.integers(1, 2),  # source port
        st.sampled_from([6, 17, 1, 47]),
        st.integers(0, 255),  # flags, or ICMP's code
        st.integers(0, 40),  # payload
    ),
    max_size=80,
)


def frame_of(src: int, dst: int, sport: int, protocol: int, flags: int, payload: int) -> bytes:
    if protocol == 6:
        transport = struct.pack("!HHIIBBHHH", sport, 80, 0, 0, 0x50, flags, 0, 0, 0)
    elif protocol == 17:
        transport = struct.pack("!HHHH", sport, 80, 8 + payload, 0)
    else:
        transport = struct.pack("!BBHHH", 8, flags, 0, 0, 0)
    length = 20 + len(transport) + payload
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, length, 0, 0, 64, protocol, 0, src, dst)
    return bytes(12) + b"\x08\x00" + ip + transport + bytes(payload)


def oracle(timed: list[tuple[int, tuple[int, ...]]]) -> list[tuple[int, ...]]:
    """Return (start, end, src, dst, sport, dport, protocol, packets, bytes, flags, first flags) of every record."""
    live: dict[tuple[int, ...], list[int]] = {}
    done = []
    for now, (src, dst, sport, protocol, flags, payload) in timed:
        ports = (sport, 80) if protocol in (6, 17) else (0, 8 * 256 + flags) if protocol == 1 else (0, 0)
        size = 20 + (20 if protocol == 6 else 8) + payload
        seen = flags if protocol == 6 else 0
        key = (src, dst, *ports, protocol)
        flow = live.get(key)
        if flow is not None and (now - flow[1] > IDLE_NS or now - flow[0] >= ACTIVE_NS):
            done.append((flow[0], flow[1], *key, *flow[2:]))
            flow = None
        if flow is None:
            live[key] = [now, now, 1, size, seen, seen]
        else:
            flow[1], flow[2], flow[3], flow[4] = now, flow[2] + 1, flow[3] + size, flow[4] | seen
    return sorted(done + [(flow[0], flow[1], *key, *flow[2:]) for key, flow in live.items()])


def rows_of(flows: Flows) -> list[tuple[int, ...]]:
    names = (
        "start_ns",
        "end_ns",
        "src",
        "dst",
        "sport",
        "dport",
        "protocol",
        "packets",
        "bytes",
        "flags",
        "first_flags",
    )
    return sorted(tuple(int(row[name]) for name in names) for row in flows)


def timed_of(drawn: list[tuple[int, ...]]) -> list[tuple[int, tuple[int, ...]]]:
    now, timed = 1_700_000_000_000_000_000, []
    for gap, *packet in drawn:
        now += gap
        timed.append((now, tuple(packet)))
    return timed


def meter_of(table_flows: int = 1 << 10) -> Meter:
    return Meter(Notes(), 0, IDLE_NS / 1e9, ACTIVE_NS / 1e9, table_flows)


@given(packets, st.integers(1, 80))
def test_records_are_those_of_a_dictionary_however_packets_come_in_blocks(
    drawn: list[tuple[int, ...]], size: int
) -> None:
    timed = timed_of(drawn)
    meter = meter_of()
    ended: list[Flows] = []
    for first in range(0, len(timed), size):
        part = timed[first : first + size]
        ended += meter.feed(pack_block([(now, frame_of(*packet)) for now, packet in part]))
    ended.append(meter.finish())
    assert rows_of(joined(ended)) == oracle(timed)
    assert meter.packets == len(timed)


@given(packets)
def test_a_full_table_splits_flows_and_loses_nothing(drawn: list[tuple[int, ...]]) -> None:
    timed = timed_of(drawn)
    meter = meter_of(table_flows=2)
    ended = meter.feed(pack_block([(now, frame_of(*packet)) for now, packet in timed]))
    flows = joined([*ended, meter.finish()])
    assert int(flows["packets"].sum()) == len(timed)
    assert int(flows["bytes"].sum()) == sum(row[8] for row in oracle(timed))
    wanted = {row[2:7] for row in oracle(timed)}
    assert {row[2:7] for row in rows_of(flows)} == wanted
    records: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for row in rows_of(flows):
        records.setdefault(row[2:7], []).append(row)
    for rows in records.values():  # the records of a key follow each other in time
        assert all(before[1] <= after[0] for before, after in pairwise(rows))


def test_what_is_no_ipv4_is_counted() -> None:
    ipv6 = bytes(12) + b"\x86\xdd" + bytes(40)
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    short = bytes(12) + b"\x08\x00" + b"\x45"
    meter = meter_of()
    meter.feed(pack_block([(10**18, ipv6), (10**18, arp), (10**18, arp), (10**18, short)]))
    assert len(meter.finish()) == 0
    assert meter.notes.undecoded == {"IPv6 packets": 1, "packets that are not IP": 2, "damaged packets": 1}
