"""The choice of how frames leave: by trials on the ring itself, over this kernel and over others."""

import ctypes
import errno
import fcntl
import gc
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import ClassVar
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroute2 import IPRoute

from liveness.errors import LivenessError, UnsupportedError
from liveness.net import transport, xdp
from liveness.net.links import receive_ring_frames, transmit_queues
from liveness.net.ring import descriptors_of
from liveness.net.rx_packet import PacketRxRing
from liveness.net.transport import (
    AF_PACKET,
    COPY,
    TRIAL_BYTES,
    TRIAL_ETHERTYPE,
    XDP_LIVE,
    ZERO_COPY,
    Transport,
    open_transport,
    trial_frame,
    try_ways,
)
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.net.xdp_memory import CHUNK_BYTES
from liveness.net.xdp_program import attach_pass_program, program_attached
from liveness.scan.process import Child
from liveness.system.child import libc, run_in_child
from liveness.system.namespace import CLONE_NEWNET, bring_loopback_up
from tests.net.simulated import SimulatedKernel, SimulatedXdpSocket
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_private_network, set_link
from tests.net.test_carrier import Card
from tests.net.test_rings import commit_frames, drain, inside

LOOPBACK = "lo"


def add_link(queues: int) -> None:
    """Add a veth `w0` with so many transmit queues."""
    with IPRoute() as netlink:
        peer = {"ifname": "w1", "num_tx_queues": queues, "num_rx_queues": queues}
        netlink.link("add", ifname="w0", kind="veth", num_tx_queues=queues, num_rx_queues=queues, peer=peer)
    set_link("w0", "up")
    set_link("w1", "up")


def close(chosen: Transport) -> None:
    for ring in chosen.rings:
        ring.close()


def opened(kernel: SimulatedKernel, transport: str = "auto", zero_copy: str = "auto", senders: int = 1) -> list[str]:
    """Open a transport over a kernel of our own, and return what each ring is."""
    chosen = open_transport(LOOPBACK, senders, 100, 9, transport, zero_copy, kernel=kernel)
    assert all(ring.completed == ring.errors == 0 for ring in chosen.rings), "trials do not count"
    close(chosen)
    return list(chosen.names)


def open_descriptors() -> int:
    """Return the number of descriptors of this process, without those of objects that are no longer used."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not walked


def frames_of(kernel: SimulatedKernel) -> set[bytes]:
    return set(kernel.sent)


@pytest.mark.parametrize(
    "code", [errno.ENXIO, errno.EINVAL, errno.EAGAIN, errno.ENOBUFS, errno.EBUSY, errno.EOPNOTSUPP]
)
def test_a_driver_that_binds_in_zero_copy_mode_and_refuses_to_send_is_used_in_copy_mode(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ixgbe, i40e, ice, igc, mlx5 and gve do without an XDP program."""
    monkeypatch.setattr(transport, "TRIAL_S", 0.2)
    kernel = SimulatedKernel(refuses_kick={xdp.XDP_ZEROCOPY: code})
    chosen = open_transport(LOOPBACK, 2, 100, 9, "auto", "auto", kernel=kernel)
    assert list(chosen.names) == [COPY, COPY]
    assert [reason for reason in chosen.reasons if "zero-copy" in reason]
    flags = [handle.flags for handle in kernel.sockets if not handle.closed]
    assert flags == [xdp.XDP_COPY] * 2
    with pytest.raises(UnsupportedError, match="zero-copy"):
        open_transport(LOOPBACK, 1, 100, 9, "auto", "require", kernel=kernel)


def test_zero_copy_is_used_where_its_trial_completes_and_its_card_can_receive() -> None:
    kernel = SimulatedKernel()
    chosen = open_transport(LOOPBACK, 1, 100, 9, "auto", "auto", kernel=kernel)
    assert list(chosen.names) == [ZERO_COPY]
    assert chosen.reasons == ()
    (handle,) = kernel.sockets
    assert isinstance(handle, SimulatedXdpSocket)
    assert handle.options[xdp.XDP_UMEM_FILL_RING] == 1024  # twice the card's ring, as a power of two
    fill = handle.maps[xdp.FILL_PAGE_OFFSET]
    assert struct.unpack_from("I", fill, 0) == (1024,)
    addresses = np.frombuffer(fill, np.uint64, 1024, 192)
    assert len(set(addresses.tolist())) == 1024
    assert set((addresses % CHUNK_BYTES).tolist()) == {0}
    (ring,) = chosen.rings
    sent = ring.frames.nbytes  # what is received is written behind what is sent
    assert int(addresses.min()) >= sent
    region = handle.options[xdp.XDP_UMEM_REG]
    assert isinstance(region, bytes)
    assert int(addresses.max()) + CHUNK_BYTES == struct.unpack_from("QQ", region)[1]
    ring.close()


@pytest.mark.parametrize("transport", ["auto", "af_xdp"])
def test_copy_mode_needs_no_zero_copy_and_asks_for_none(transport: str) -> None:
    kernel = SimulatedKernel()
    assert opened(kernel, transport, "never") == [COPY]
    assert [handle.flags for handle in kernel.sockets] == [xdp.XDP_COPY]
    assert opened(SimulatedKernel(refuses_bind={xdp.XDP_ZEROCOPY}), transport) == [COPY]


@pytest.mark.parametrize(
    "kernel",
    [
        SimulatedKernel(refuses_bind={xdp.XDP_ZEROCOPY, xdp.XDP_COPY}),
        SimulatedKernel(refuses_kick={xdp.XDP_ZEROCOPY: errno.ENXIO, xdp.XDP_COPY: errno.EINVAL}),
        SimulatedKernel(refuses_kick={xdp.XDP_ZEROCOPY: errno.EAGAIN, xdp.XDP_COPY: errno.EAGAIN}),
        SimulatedKernel(refused={xdp.XDP_UMEM_REG}),
        SimulatedKernel(refused={xdp.XDP_MMAP_OFFSETS}),
    ],
)
def test_what_af_xdp_does_not_do_the_other_ring_does(kernel: SimulatedKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TRIAL_S", 0.2)
    assert opened(kernel) == [AF_PACKET]
    with pytest.raises(UnsupportedError):
        opened(kernel, "af_xdp")
    assert all(handle.closed for handle in kernel.sockets)


def test_completions_that_never_come_refuse_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TRIAL_S", 0.2)
    kernel = SimulatedKernel(completes=False)
    with pytest.raises(UnsupportedError, match="af_packet on lo, queue 0: a trial frame has not left within"):
        opened(kernel)
    assert all(handle.closed for handle in kernel.sockets)


def test_a_trial_is_one_frame_from_the_interface_to_itself() -> None:
    kernel = SimulatedKernel()
    opened(kernel, senders=3)
    mac = bytes(6)  # of loopback
    assert kernel.sent == [trial_frame(mac)] * 3
    (frame,) = frames_of(kernel)
    assert len(frame) == TRIAL_BYTES
    assert frame[:14] == mac + mac + TRIAL_ETHERTYPE.to_bytes(2, "big")


def test_trial_frames_that_are_dropped_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TRIAL_S", 0.2)
    kernel = SimulatedKernel(answers=[errno.EBUSY, errno.EBUSY])
    assert opened(kernel, "af_xdp", "never") == [COPY]  # a link that bounces when it is touched
    assert len(kernel.sent) == 1
    kernel = SimulatedKernel(refuses_kick={xdp.XDP_COPY: errno.EBUSY})
    with pytest.raises(UnsupportedError, match=r"the interface dropped 10 trial frames: has it a carrier\?"):
        opened(kernel, "af_xdp", "never")
    assert kernel.sent == []


def test_a_program_of_somebody_else_is_left_alone() -> None:
    """In zero-copy mode our socket would take its packets: not tried by default, refused where it is required."""
    kernel = SimulatedKernel(program="theirs")
    chosen = open_transport(LOOPBACK, 1, 100, 9, "auto", "auto", kernel=kernel)
    assert list(chosen.names) == [COPY]
    assert any("XDP program" in reason for reason in chosen.reasons)
    close(chosen)
    with pytest.raises(UnsupportedError, match="another XDP program is attached to lo"):
        opened(kernel, "auto", "require")
    assert kernel.program == "theirs"
    assert all(handle.flags != xdp.XDP_ZEROCOPY for handle in kernel.sockets)


def test_zero_copy_that_is_required_has_a_program_as_long_as_its_rings() -> None:
    before = open_descriptors()
    kernel = SimulatedKernel()
    chosen = open_transport(LOOPBACK, 2, 100, 9, "auto", "require", kernel=kernel)
    assert list(chosen.names) == [ZERO_COPY] * 2
    assert kernel.program == "ours"
    assert open_descriptors() == before + 2  # a copy each
    close(chosen)
    close(chosen)
    assert open_descriptors() == before


def test_a_sender_has_the_program_of_its_ring_and_closes_it() -> None:
    """A child keeps the descriptors that its ring names, and no others."""
    chosen = open_transport(LOOPBACK, 1, 100, 9, "auto", "require", kernel=SimulatedKernel())
    (ring,) = chosen.rings
    sender: Child[None] = Child("sender", ring.close, keep=descriptors_of(ring))
    while not sender.ended():
        time.sleep(0.01)
    assert sender.problem() is None
    close(chosen)


def test_senders_beyond_the_queues_in_use_have_packet_rings() -> None:
    chosen = open_transport(LOOPBACK, 3, 100, 9, "auto", "never", kernel=SimulatedKernel(queues=2))
    assert list(chosen.names) == [COPY, COPY, AF_PACKET]
    assert chosen.name == f"{COPY} + {AF_PACKET}"
    (reason,) = chosen.reasons
    assert reason.startswith("interface lo uses 2 transmit queues, one for each AF_XDP sender: set senders to 2")


def test_thirty_two_frames_a_call_are_a_reason() -> None:
    kernel = SimulatedKernel(refused={xdp.XDP_MAX_TX_SKB_BUDGET})
    chosen = open_transport(LOOPBACK, 1, 100, 9, "auto", "never", kernel=kernel)
    assert list(chosen.names) == [COPY]
    assert ["32 frames a call" in reason for reason in chosen.reasons] == [True]


def test_the_table_of_trials_shows_each_way() -> None:
    kernel = SimulatedKernel(refused={xdp.XDP_MAX_TX_SKB_BUDGET}, refuses_kick={xdp.XDP_ZEROCOPY: errno.ENXIO})
    found = {way.way: way for way in try_ways(LOOPBACK, kernel)}
    assert [(way, entry.passed) for way, entry in found.items()] == [
        (ZERO_COPY, False),
        (COPY, True),
        (AF_PACKET, True),
        (XDP_LIVE, False),
    ]
    assert "driver refuses to send in zero-copy mode" in found[ZERO_COPY].detail
    assert found[COPY].frames_a_call == 32
    assert (found[AF_PACKET].frames_a_call or 0) >= 4096
    assert all(handle.closed for handle in kernel.sockets)


class CardOfLiveFrames:
    """In place of LiveTxRing: a driver that takes live frames only while an XDP program is attached, or never."""

    never = False
    opened: ClassVar[list["CardOfLiveFrames"]] = []

    def __init__(self, interface: str, longest_frame: int, multiple_of: int, *, program: int | None) -> None:
        assert interface
        self.frames = np.zeros((multiple_of * 2, longest_frame), np.uint8)
        self.program = None if program is None else os.dup(program)
        self.completed = self.errors = 0
        self.refused_by_driver = False
        self.closed = False
        self.opened.append(self)

    def reserve(self, wanted: int) -> tuple[int, int]:
        return 0, wanted

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        assert (count, lengths[0]) == (1, TRIAL_BYTES)

    def flush(self, timeout_s: float) -> int:
        assert timeout_s
        self.refused_by_driver = self.never or self.program is None
        self.completed += not self.refused_by_driver
        self.errors += self.refused_by_driver
        return 0

    @property
    def refusal(self) -> str | None:
        return "its driver takes no frames from XDP programs" if self.refused_by_driver else None

    def count_from_here(self) -> None:
        self.completed = self.errors = 0

    def close(self) -> None:
        if self.program is not None:
            os.close(self.program)
        self.program = None
        self.closed = True


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> type[CardOfLiveFrames]:
    monkeypatch.setattr(CardOfLiveFrames, "opened", [])
    monkeypatch.setattr(transport, "LiveTxRing", CardOfLiveFrames)
    return CardOfLiveFrames


def test_a_driver_that_takes_live_frames_with_a_program_gets_one_that_passes_packets(
    card: type[CardOfLiveFrames],
) -> None:
    """As igb and virtio_net do."""
    kernel = SimulatedKernel()
    before = open_descriptors()
    chosen = open_transport(LOOPBACK, 2, 100, 9, XDP_LIVE, "auto", kernel=kernel)
    assert list(chosen.names) == [XDP_LIVE] * 2
    assert kernel.program == "ours"
    (reason,) = chosen.reasons
    assert reason.startswith("xdp_live on lo: its driver sends frames of XDP programs only while one is attached")
    assert [ring.closed for ring in card.opened] == [True, False, False]  # the first one had no program
    assert open_descriptors() == before + 2  # a copy for each ring
    close(chosen)
    assert open_descriptors() == before


def test_live_frames_are_tried_again_when_the_card_has_its_carrier_again(
    card: type[CardOfLiveFrames], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attaching the program resets some cards: igb does so."""
    present = Card(True, False, False).play(monkeypatch)
    looks = []
    monkeypatch.setattr(present, "sleep", lambda _: looks.append(len(card.opened)))
    close(open_transport(LOOPBACK, 1, 100, 9, XDP_LIVE, "auto", kernel=SimulatedKernel()))
    assert looks == [1, 1]  # the ring without a program was open so far
    assert len(card.opened) == 2


def test_zero_copy_with_a_program_is_tried_when_the_card_has_its_carrier_again(monkeypatch: pytest.MonkeyPatch) -> None:
    present = Card(True, False, False).play(monkeypatch)
    kernel = SimulatedKernel()
    looks = []
    monkeypatch.setattr(present, "sleep", lambda _: looks.append(len(kernel.sockets)))
    close(open_transport(LOOPBACK, 1, 100, 9, "auto", "require", kernel=kernel))
    assert looks == [0, 0]


def test_the_table_of_trials_leaves_no_program_attached(card: type[CardOfLiveFrames]) -> None:
    before = open_descriptors()
    live = try_ways(LOOPBACK, SimulatedKernel())[-1]
    assert (live.way, live.passed) == (XDP_LIVE, True)
    assert open_descriptors() == before
    assert all(ring.closed for ring in card.opened)


@pytest.mark.parametrize(("never", "program", "tries"), [(True, "", 2), (False, "theirs", 1)])
def test_a_driver_that_takes_no_live_frames_is_refused_and_has_no_program_of_ours(
    card: type[CardOfLiveFrames], never: bool, program: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card, "never", never)
    kernel = SimulatedKernel(program=program)
    before = open_descriptors()
    with pytest.raises(UnsupportedError, match="dropped 1 trial frames: its driver takes no frames from XDP programs"):
        open_transport(LOOPBACK, 1, 100, 9, XDP_LIVE, "auto", kernel=kernel)
    assert [ring.closed for ring in card.opened] == [True] * tries
    assert open_descriptors() == before


@pytest.mark.lab
@pytest.mark.parametrize(("transport", "name"), [("auto", COPY), ("af_xdp", COPY), ("af_packet", AF_PACKET)])
@in_private_network
def test_over_veth_a_trial_frame_arrives_and_nothing_else_does(transport: str, name: str) -> None:
    with cable() as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        chosen = open_transport("v0", 1, 120, 18, transport, "auto")
        assert list(chosen.names) == [name]
        mac = bytes.fromhex("020000000001")
        assert drain(rx, 0.3) == [trial_frame(mac)]
        for ring in chosen.rings:
            assert len(ring.frames) % 18 == 0
            assert (ring.completed, ring.errors) == (0, 0)
            sent = commit_frames(ring, 50)
            assert ring.flush(2) == 0
            assert drain(rx, 0.3) == sent
            assert (ring.completed, ring.errors) == (50, 0)
            ring.close()
        rx.close()


@pytest.mark.lab
@in_private_network
def test_a_queue_that_is_allocated_and_not_in_use_is_none() -> None:
    """`ethtool -L w0 tx 2`: netlink still counts four. What is sent on the third never leaves."""
    add_link(queues=4)
    assert transmit_queues("w0") == 4
    set_channels("w0", 4, 2)
    assert transmit_queues("w0") == 2
    assert transmit_queues(LOOPBACK) == 1
    assert receive_ring_frames(LOOPBACK) is None
    chosen = open_transport("w0", 3, 120, 18, "auto", "never")
    assert [type(ring) for ring in chosen.rings] == [XdpTxRing, XdpTxRing, PacketTxRing]
    close(chosen)
    with pytest.raises(UnsupportedError, match="uses 2 transmit queues, one for each AF_XDP sender: set senders to 2"):
        open_transport("w0", 3, 120, 18, "af_xdp", "never")


@pytest.mark.lab
@in_private_network
def test_a_queue_that_is_not_in_use_ends_its_sender_with_its_name() -> None:
    """The kernel binds a socket to it, takes what is sent there, and never says that it left."""
    add_link(queues=4)
    set_channels("w0", 4, 2)
    ring = XdpTxRing("w0", 120, queue=3)
    commit_frames(ring, 7)
    with (
        patch("liveness.net.ring.STALL_S", 0.5),
        pytest.raises(LivenessError, match=r"interface w0, queue 3: none of 7 frames has left .*ethtool -l w0"),
    ):
        ring.flush(60)
    assert ring.unsent().size == 7
    ring.close()


def set_channels(interface: str, receive: int, transmit: int) -> None:
    """Do as `ethtool -L` (ETHTOOL_SCHANNELS)."""
    wanted = ctypes.create_string_buffer(struct.pack("9I", 0x3D, 0, 0, 0, 0, receive, transmit, 0, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, 0x8946, struct.pack("16sP16x", interface.encode(), ctypes.addressof(wanted)))


@pytest.mark.lab
@in_private_network
def test_a_required_transport_that_is_unavailable_is_an_error() -> None:
    add_link(queues=1)
    with pytest.raises(UnsupportedError, match=r"zero-copy on w0 needs an XDP program.*CAP_BPF"):
        open_transport("w0", 1, 120, 9, "auto", "require")  # not for root of a user namespace
    alone = open_transport("w0", 2, 120, 9, "af_packet", "never")
    assert (alone.name, alone.reasons) == ("af_packet", ())
    close(alone)


@pytest.mark.lab
@in_private_network
def test_frames_longer_than_a_chunk_leave_by_the_other_ring() -> None:
    add_link(queues=1)
    chosen = open_transport("w0", 1, CHUNK_BYTES, 1, "auto", "auto")
    assert [type(ring) for ring in chosen.rings] == [PacketTxRing]
    assert chosen.reasons == ("AF_XDP: frames of 2048 bytes: 2047 at most",)
    with pytest.raises(UnsupportedError, match="2048 bytes"):
        open_transport("w0", 1, CHUNK_BYTES, 1, "af_xdp", "auto")
    close(chosen)


def as_root_alone(test: Callable[[], None]) -> None:
    """Run a test in a network namespace of its own that belongs to the machine's root: programs need that."""

    def run() -> None:
        assert libc.unshare(CLONE_NEWNET) == 0
        bring_loopback_up()
        test()

    run_in_child(run)


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="only the machine's root may attach XDP programs")
def test_the_program_is_attached_passes_packets_on_and_goes_with_its_owner() -> None:
    def inside_network() -> None:
        add_link(queues=1)
        index = socket.if_nametoindex("w0")
        assert not program_attached(index)
        program = attach_pass_program("w0", index)
        assert program_attached(index)
        rx = PacketRxRing("w0", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        tx = PacketTxRing("w1", 120)
        sent = commit_frames(tx, 3)
        assert tx.flush(2) == 0
        assert drain(rx, 0.3) == sent
        with pytest.raises(UnsupportedError, match=r"zero-copy on w0 .*: another XDP program is attached to it"):
            attach_pass_program("w0", index)
        with pytest.raises(UnsupportedError, match="another XDP program"):
            open_transport("w0", 1, 120, 9, "auto", "require")
        chosen = open_transport("w0", 1, 120, 9, "auto", "auto")
        assert (chosen.name, len(chosen.reasons)) == (COPY, 1)
        close(chosen)
        assert program_attached(index)
        os.close(program)
        assert not program_attached(index)
        with pytest.raises(UnsupportedError, match=r"zero-copy mode on w0, queue 0: .*: set network.zero_copy"):
            open_transport("w0", 1, 120, 9, "auto", "require")  # veth has none
        assert not program_attached(index)

    as_root_alone(inside_network)
