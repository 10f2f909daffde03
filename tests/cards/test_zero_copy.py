"""Zero-copy with a driver that has it: frames byte for byte, the host's own traffic, links that go down, and scans."""

import struct
import time
from contextlib import suppress

import numpy as np
import pytest

from liveness.errors import InterfaceDownError
from liveness.net import xdp
from liveness.net.ring import TxRing
from liveness.net.rx_packet import PacketRxRing
from liveness.net.sockets import interface_index
from liveness.net.transport import AF_PACKET, COPY, XDP_LIVE, ZERO_COPY, open_transport, try_ways
from liveness.net.tx_xdp import XdpTxRing
from liveness.net.xdp_program import program_attached
from liveness.system.namespace import Namespace
from tests.cards.support import CARD, DRIVER, FAR, PATIENCE_S, await_carrier, exchange
from tests.net.support import TEST_ETHERTYPE, ethertype_filter, set_link
from tests.net.test_rings import HEADER, drain, inside, write_frames

XDP_OPTIONS, XDP_OPTIONS_ZEROCOPY = 8, 1
NEEDS_PROGRAM = DRIVER == "igb"
"""Whether the driver sends in zero-copy mode only while an XDP program is attached."""
MOST_AT_ONCE = 200
"""Frames that the far end has room for: the cable of a virtual machine has no flow control."""
LENGTHS = (60 + np.arange(1 << 14) % 58).astype(np.uint16)
"""Every length from 60 to 117 bytes: shorter frames are padded on their way."""


def is_zero_copy(ring: TxRing) -> bool:
    """Return whether the kernel says so."""
    assert isinstance(ring, XdpTxRing)
    (flags,) = struct.unpack("I", ring._socket.option(xdp.SOL_XDP, XDP_OPTIONS, 4))
    return bool(flags & XDP_OPTIONS_ZEROCOPY)


def send(ring: TxRing, rx: PacketRxRing, total: int, number: int = 0, batch: int = 50) -> None:
    """Send frames numbered from `number` on, and check that each of them arrives, in order and nothing else.

    What arrives is taken meanwhile: blocks of a capture end by time too, so that a few frames may fill it.
    """
    sent: list[bytes] = []
    received: list[bytes] = []
    while len(sent) < total:
        first, count = ring.reserve(min(batch, total - len(sent)))
        if not count:
            ring.wait(0.1)
            continue
        sent += write_frames(ring, first, count, number + len(sent), LENGTHS)
        ring.commit(count, LENGTHS)
        ring.kick()
        received += taken(rx, 0)
    assert ring.flush(PATIENCE_S) == 0
    assert received + arrived(rx, total - len(received)) == sent


def taken(rx: PacketRxRing, timeout_s: float) -> list[bytes]:
    """Return the frames of `send` that are in a capture. Trial frames are left out."""
    return [frame for frame in drain(rx, timeout_s) if frame.startswith(HEADER)]


def arrived(rx: PacketRxRing, count: int) -> list[bytes]:
    """Return `count` frames of `send`, for which it waits, and any that come after them."""
    deadline = time.monotonic() + PATIENCE_S
    frames: list[bytes] = []
    while len(frames) < count and time.monotonic() < deadline:
        frames += taken(rx, 0.1)
    return frames + taken(rx, 0.02)


@pytest.mark.parametrize("zero_copy", ["auto", "require"])
def test_frames_arrive_byte_for_byte_and_in_order(far: Namespace, zero_copy: str) -> None:
    with inside(far):
        rx = PacketRxRing(FAR, ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
    chosen = open_transport(CARD, 1, 120, 9, "auto", zero_copy)
    (ring,) = chosen.rings
    if NEEDS_PROGRAM and zero_copy == "auto":
        assert list(chosen.names) == [COPY]
        assert any("refuses to send in zero-copy mode" in reason for reason in chosen.reasons)
        assert not is_zero_copy(ring)
    else:
        assert list(chosen.names) == [ZERO_COPY]
        assert chosen.reasons == ()
        assert is_zero_copy(ring)
    total = 0
    while total < 2 * len(ring.frames):
        send(ring, rx, MOST_AT_ONCE, total)
        total += MOST_AT_ONCE
    assert (ring.completed, ring.errors, ring.waiting) == (total, 0, 0)
    assert program_attached(interface_index(CARD)) == (zero_copy == "require")
    ring.close()
    assert not program_attached(interface_index(CARD))
    rx.close()


@pytest.mark.parametrize("zero_copy", ["auto", "require"])
def test_the_hosts_own_traffic_goes_on(far: Namespace, zero_copy: str) -> None:
    """More packets than the memory for received ones holds: each chunk must come back to the card."""
    (ring,) = open_transport(CARD, 1, 120, 9, "auto", zero_copy).rings
    exchange(far, 2000)
    ring.close()
    exchange(far, 10)


@pytest.mark.usefixtures("far")
def test_the_table_of_trials_shows_what_works() -> None:
    trials = {trial.way: trial for trial in try_ways(CARD)}
    assert trials[ZERO_COPY].passed != NEEDS_PROGRAM, trials[ZERO_COPY].detail
    for way in (COPY, AF_PACKET, XDP_LIVE):
        assert trials[way].passed, trials[way].detail


def test_frames_of_a_link_that_goes_down_and_up_are_all_accounted_for(far: Namespace) -> None:
    """Each frame that counts as sent has arrived: what a driver throws away when its link goes down does not."""
    with inside(far):
        rx = PacketRxRing(FAR, ethertype_filter(TEST_ETHERTYPE), ring_mib=16)
    (ring,) = open_transport(CARD, 1, 120, 9, "auto", "require").rings
    send(ring, rx, MOST_AT_ONCE)
    set_link(CARD, "down")
    first, count = ring.reserve(50)
    later = write_frames(ring, first, count, MOST_AT_ONCE, LENGTHS)
    ring.commit(count, LENGTHS)
    with pytest.raises(InterfaceDownError, match="interface card: Network is down"):
        ring.kick()
    set_link(CARD, "up")
    await_carrier(CARD)
    deadline = time.monotonic() + PATIENCE_S
    while ring.waiting and time.monotonic() < deadline:
        with suppress(InterfaceDownError):
            ring.flush(1.0)
    assert ring.waiting == 0
    assert arrived(rx, len(later)) == later
    assert (ring.completed, ring.errors) == (MOST_AT_ONCE + len(later), 0)
    ring.close()
    rx.close()
