"""Interfaces without Ethernet: what leaves, what comes in, and how they are found, through the kernel's own devices."""

import os
import select
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2 import IPRoute
from scapy.layers.inet import ICMP, IP, TCP, UDP

from liveness.errors import InterfaceDownError, InterfaceGoneError, UnsupportedError, UsageError
from liveness.net.links import find_link, usable
from liveness.net.path.finding import find_path
from liveness.net.path.path import Path
from liveness.net.rx_packet import PacketRxRing
from liveness.net.transport import open_transport
from liveness.net.tx_datagram import DatagramTxRing
from liveness.packets import block as blk
from liveness.packets.block import add_ethernet, pack_block, unpack_block
from liveness.packets.bpf_machine import loaded, passes
from liveness.packets.reply_filter import reply_filter
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from tests.net.support import in_private_network
from tests.net.tunnels import HERE, KINDS, THERE, open_tun, set_up, tunnel

WAIT_S = 10
ICMP_TYPES = (0, 3, 4, 5, 11, 12)


every_kind = pytest.mark.parametrize("kind", KINDS)


def echo(number: int, destination: str = THERE) -> bytes:
    return bytes(IP(src=HERE, dst=destination) / ICMP(id=7, seq=number) / (b"x" * (number % 50)))


def commit(ring: DatagramTxRing, packets: list[bytes]) -> None:
    """Put packets into the next slots, each behind a header that must not leave, and hand them over."""
    lengths = np.zeros(len(ring.frames), np.uint16)
    while packets:
        first, count = ring.reserve(len(packets))
        for slot, packet in enumerate(packets[:count], first):
            ring.frames[slot, :14] = 0xEE
            ring.frames[slot, 14 : 14 + len(packet)] = np.frombuffer(packet, np.uint8)
            lengths[slot] = 14 + len(packet)
        ring.commit(count, lengths)
        assert ring.flush(WAIT_S) == 0
        packets = packets[count:]


def read_packets(descriptor: int, count: int) -> list[bytes]:
    """Return the next IPv4 packets that a tun device was given; the kernel's own IPv6 ones are passed over."""
    packets: list[bytes] = []
    while len(packets) < count:
        assert select.select([descriptor], [], [], WAIT_S)[0], f"{len(packets)} of {count} packets came"
        packet = os.read(descriptor, 65_536)
        if packet[0] >> 4 == 4:
            packets.append(packet)
    return packets


@pytest.mark.lab
@in_private_network
def test_every_packet_leaves_once_in_order_and_without_a_header() -> None:
    """Three times round the ring."""
    descriptor = open_tun("t0")
    set_up("t0", HERE)
    ring = DatagramTxRing("t0", 128, multiple_of=6, minimum_slots=64)
    assert len(ring.frames) == 66
    for start in range(0, 198, 33):
        packets = [echo(number) for number in range(start, start + 33)]
        commit(ring, packets)
        assert read_packets(descriptor, 33) == packets
    assert (ring.completed, ring.errors, ring.unsent().size) == (198, 0, 0)
    ring.close()


@pytest.mark.lab
@in_private_network
def test_what_the_interface_refuses_is_counted_and_the_rest_leaves() -> None:
    descriptor = open_tun("t0")
    set_up("t0", HERE)
    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname="t0")[0], mtu=100)
    ring = DatagramTxRing("t0", 256)
    large = bytes(IP(src=HERE, dst=THERE) / ICMP() / (b"y" * 100))
    commit(ring, [echo(1), large, echo(2), large, large, echo(3)])
    assert read_packets(descriptor, 3) == [echo(1), echo(2), echo(3)]
    assert (ring.completed, ring.errors) == (3, 3)
    with pytest.raises(ValueError, match="out of bounds"):
        commit(ring, [b"short"])
    ring.close()


@pytest.mark.lab
@in_private_network
def test_an_interface_that_is_down_keeps_its_packets_and_one_that_is_gone_says_so() -> None:
    descriptor = open_tun("t0")
    set_up("t0", HERE)
    ring = DatagramTxRing("t0", 128)
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname="t0")[0]
        netlink.link("set", index=index, state="down")
        with pytest.raises(InterfaceDownError):
            commit(ring, [echo(1), echo(2)])
        assert len(ring.unsent()) == 2
        netlink.link("set", index=index, state="up")
        assert ring.flush(WAIT_S) == 0
        assert read_packets(descriptor, 2) == [echo(1), echo(2)]
    os.close(descriptor)  # takes the device with it
    with pytest.raises(InterfaceGoneError):
        commit(ring, [echo(3)])
    ring.close()


@pytest.mark.lab
@every_kind
def test_the_kernel_at_the_far_end_answers(kind: str) -> None:
    """Echo requests through the ring; replies through the other ring, as frames behind a header of zeros."""

    @in_private_network
    def answered() -> None:
        with tunnel(kind):
            link = usable(find_link("t0"))
            assert (link.ethernet, link.raw_ip) == (False, True)
            program = reply_filter([parse_address(HERE)], 32768, 61000, ICMP_TYPES, ethernet=False)
            received = PacketRxRing("t0", program, ring_mib=2, ethernet=False)
            sent = DatagramTxRing("t0", 128)
            commit(sent, [echo(number) for number in range(1, 41)])
            frames: list[bytes] = []
            deadline = time.monotonic() + WAIT_S
            while len(frames) < 40 and time.monotonic() < deadline:
                block = received.blocks(0.1)
                if block is not None:
                    again = received.blocks(0)
                    assert again is not None  # the same block, and headers are not added twice
                    frames += [frame for _, frame in unpack_block(again)]
                    received.release()
            assert all(frame[:14] == bytes(12) + b"\x08\x00" for frame in frames)
            replies = [IP(frame[14:]) for frame in frames]
            assert sorted(reply[ICMP].seq for reply in replies) == list(range(1, 41))
            for reply in replies:
                assert (reply.src, reply.dst, reply[ICMP].type) == (THERE, HERE, 0)
                assert len(reply) == reply.len
            assert received.statistics().drops == 0
            sent.close()
            received.close()

    answered()


@pytest.mark.lab
@every_kind
def test_the_path_needs_no_gateway_and_no_mac(kind: str) -> None:
    @in_private_network
    def found() -> None:
        with tunnel(kind), IPRoute() as netlink:
            index = netlink.link_lookup(ifname="t0")[0]
            netlink.route("add", dst="9.9.9.0/24", oif=index)
            netlink.route("add", dst="9.9.8.0/24", gateway=THERE)
            for target in ("9.9.9.7", "9.9.8.7", THERE):
                path = way_to(target)
                assert (path.interface, path.ethernet, path.source) == ("t0", False, parse_address(HERE))
                assert path.gateway_mac == path.mac == bytes(6)
            assert way_to("9.9.7.7", "t0").interface == "t0"  # a tunnel that is named needs no route

    found()


@pytest.mark.lab
@in_private_network
def test_af_xdp_is_refused_where_it_would_not_say_what_it_sends() -> None:
    open_tun("t0")
    set_up("t0", HERE)
    transport = open_transport("t0", 2, 128, 4, "auto", "auto", ethernet=False)
    assert (transport.name, len(transport.rings)) == ("af_packet", 2)
    assert "without an Ethernet header" in transport.reasons[0]
    assert open_transport("t0", 1, 128, 4, "af_packet", "never", ethernet=False).reasons == ()
    for asked in (("af_xdp", "auto"), ("auto", "require")):
        with pytest.raises(UnsupportedError, match=r"set network\.transport to auto or af_packet"):
            open_transport("t0", 1, 128, 4, *asked, ethernet=False)


@pytest.mark.lab
@in_private_network
def test_loopback_is_refused() -> None:
    with pytest.raises(UsageError, match="takes neither Ethernet frames nor IP packets"):
        usable(find_link("lo"))


addresses = st.sampled_from([HERE, THERE, "10.8.0.99"])
ports = st.sampled_from([1, 32767, 32768, 61000, 61001])


@given(
    addresses,
    st.one_of(
        st.builds(lambda port: TCP(dport=port), ports),
        st.builds(lambda port: UDP(dport=port), ports),
        st.builds(lambda kind: ICMP(type=kind), st.integers(0, 20)),
    ),
    st.sampled_from([4, 5, 6]),
    st.sampled_from([0, 1, 185]),
    st.integers(0, 60),
)
def test_the_filter_of_packets_is_that_of_frames(
    destination: str, transport: IP, version: int, fragment: int, length: int
) -> None:
    """Judged by the filter of Ethernet frames, on the same packet behind a header, whole and cut."""
    sources = [parse_address(HERE), parse_address(THERE)]
    packet = bytearray(bytes(IP(dst=destination, frag=fragment) / transport))
    packet[0] = version << 4 | packet[0] & 15
    frame = bytes(12) + (b"\x08\x00" if version == 4 else b"\x86\xdd") + bytes(packet)
    programs = [loaded(reply_filter(sources, 32768, 61000, ICMP_TYPES, ethernet=kind)) for kind in (False, True)]
    for cut in (len(packet), min(length, len(packet))):
        plain, framed = np.frombuffer(bytes(packet[:cut]), np.uint8), np.frombuffer(frame[: 14 + cut], np.uint8)
        assert passes(programs[0], plain, 0, len(plain)) == passes(programs[1], framed, 0, len(framed))


def test_a_packet_that_has_a_header_keeps_it() -> None:
    """The kernel's block, with a header of one packet moved as if it had one."""
    block = pack_block([(5, bytes(range(60)))], 512)
    before = block.copy()
    add_ethernet(block)
    assert np.array_equal(block, before)
    at = blk.BLOCK_HEADER_BYTES
    block[at + blk.PACKET_MAC] = block[at + blk.PACKET_NET]
    add_ethernet(block)
    (frame,) = [frame for _, frame in unpack_block(block)]
    assert frame[:14] == bytes(12) + b"\x08\x00"
    assert frame[14:60] == bytes(range(14, 60))
    assert len(frame) == 74  # it was said to have 60 bytes from its IP header on


def way_to(target: str, interface: str = "auto") -> Path:
    address = parse_address(target)
    return find_path(interface, Intervals.from_bounds([address], [address]), (), "auto")
