"""Sending through AF_XDP over veth: every frame byte for byte, drops are counted, what cannot be had is refused."""

import errno
import os

import numpy as np
import pytest
from pyroute2 import IPRoute

from liveness.net.rx_packet import PacketRxRing
from liveness.net.tx_xdp import SLOT_BYTES, SLOTS, XdpTxRing
from tests.net.simulated import Scripted, without_budget
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_private_network, set_link
from tests.net.test_rings import commit_frames, drain, inside, send_and_capture


def add_narrow_link() -> None:
    """Add a veth `w0` with one transmit queue; by default it has one for each CPU."""
    with IPRoute() as netlink:
        netlink.link("add", ifname="w0", kind="veth", num_tx_queues=1, peer="w1")
    set_link("w0", "up")
    set_link("w1", "up")


@pytest.mark.lab
@pytest.mark.parametrize("pause_s", [0.01, 0])
@pytest.mark.parametrize(("multiple_of", "longest_frame"), [(1, SLOT_BYTES), (18, 300)])
@in_private_network
def test_every_frame_arrives_byte_for_byte_round_the_ring(pause_s: float, multiple_of: int, longest_frame: int) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # veth keeps the order of one CPU only
    with cable() as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
        tx = XdpTxRing("v0", longest_frame, multiple_of)
        assert len(tx.frames) == SLOTS // multiple_of * multiple_of
        total = 3 * len(tx.frames) + 500
        sent, received = send_and_capture(tx, rx, total, batch=300, pause_s=pause_s)
        assert received == sent
        assert (tx.completed, tx.errors) == (total, 0)
        assert len(tx.unsent()) == 0
        tx.close()
        tx.close()
        rx.close()


@pytest.mark.lab
@in_private_network
def test_frames_the_interface_drops_are_counted_and_not_completed() -> None:
    """A veth without carrier drops what it is given: that may never look like sending."""
    with cable() as peer:
        tx = XdpTxRing("v0", SLOT_BYTES)
        commit_frames(tx, 7)
        peer.run(lambda: set_link("v1", "down"))
        assert tx.flush(1) == 0
        assert (tx.completed, tx.errors) == (0, 7)
        peer.run(lambda: set_link("v1", "up"))
        commit_frames(tx, 5)
        assert tx.flush(1) == 0
        assert (tx.completed, tx.errors) == (5, 7)


@pytest.mark.lab
@in_private_network
def test_without_the_option_for_more_frames_a_call_one_kick_sends_all() -> None:
    """The kernel that runs here sends 32 a call then, as those before 6.17 do, whatever was committed."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with cable() as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
        kernel = without_budget()
        tx = XdpTxRing("v0", 120, kernel=kernel)
        assert tx.frames_a_call == 32
        sent = commit_frames(tx, 1000)
        assert tx.kick()
        assert kernel.calls == 32
        assert drain(rx, 0.3) == sent
        assert (tx.completed, tx.errors) == (1000, 0)
        tx.close()
        rx.close()


@pytest.mark.lab
@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EAGAIN, errno.EINTR])
@in_private_network
def test_a_kernel_that_has_no_room_for_now_loses_nothing(code: int) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with cable() as peer:
        with inside(peer):
            rx = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
        kernel = Scripted(answer=lambda call: code if call % 3 else 0)
        tx = XdpTxRing("v0", SLOT_BYTES, kernel=kernel)
        sent, received = send_and_capture(tx, rx, 3 * len(tx.frames), batch=700)
        assert kernel.calls > 6
        assert received == sent
        assert (tx.completed, tx.errors) == (len(sent), 0)


@pytest.mark.lab
@in_private_network
def test_no_more_is_committed_than_was_reserved() -> None:
    with cable():
        tx = XdpTxRing("v0", SLOT_BYTES)
        lengths = np.full(len(tx.frames), 60, np.uint16)
        assert tx.reserve(2) == (0, 2)
        with pytest.raises(ValueError, match="commit of 3 slots, 2 are reserved"):
            tx.commit(3, lengths)
