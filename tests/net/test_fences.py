"""Fences: what is handed over is written before the index or status that hands it over, and read after it.

On x86-64 nothing goes wrong without a fence, so its place in each function is what a test can judge.
"""

from typing import Any

import numpy as np
import pytest

from liveness.net import rx_packet, tx_xdp, xdp_memory
from liveness.net.rx_packet import PacketRxRing
from liveness.net.sockets import open_packet_socket
from liveness.packets.block import TP_STATUS_KERNEL, TP_STATUS_USER
from tests.net.simulated import SimulatedKernel
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_private_network
from tests.net.test_rings import commit_frames, inside
from tests.net.test_simulated import xdp_ring

LENGTH = 96


def test_descriptors_are_written_before_the_index_that_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses, sizes = np.zeros(2048, np.uint64), np.zeros(2048, np.uint32)
    producer, lengths = np.array([7], np.uint32), np.full(16, LENGTH, np.uint16)
    seen: list[tuple[int, list[int], list[int]]] = []
    monkeypatch.setattr(
        xdp_memory, "fence", lambda: seen.append((int(producer[0]), addresses[7:10].tolist(), sizes[7:10].tolist()))
    )
    written: Any = xdp_memory.hand_over
    getattr(written, "py_func", written)(addresses, sizes, producer, 7, 4, 3, 2048, lengths)
    assert seen == [(7, [4 * 2048, 5 * 2048, 6 * 2048], [LENGTH] * 3)]
    assert producer[0] == 10


def test_completions_are_read_before_their_places_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = xdp_ring(SimulatedKernel())
    commit_frames(ring, 5)
    seen: list[tuple[int, int]] = []
    memory = ring._memory
    monkeypatch.setattr(tx_xdp, "fence", lambda: seen.append((ring.completed, int(memory.taken[0]))))
    ring.kick()
    ring.wait(0)
    assert seen == [(5, 0)]
    assert memory.taken[0] == 5


@pytest.mark.lab
@in_private_network
def test_packets_are_read_between_two_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first after the status that announces them, the second before the status that returns their memory."""
    with cable() as peer:
        with inside(peer):
            ring = PacketRxRing("v1", ethertype_filter(TEST_ETHERTYPE), ring_mib=4)
        seen: list[int] = []
        monkeypatch.setattr(rx_packet, "fence", lambda: seen.append(int(ring._status[ring._current])))
        with open_packet_socket() as sender:
            sender.bind(("v0", 0))
            sender.send(b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + TEST_ETHERTYPE.to_bytes(2, "big") + bytes(50))
        assert ring.blocks(30) is not None
        place = ring._current
        assert seen
        assert seen[0] & TP_STATUS_USER
        announced = len(seen)
        ring.release()
        assert len(seen) == announced + 1
        assert seen[-1] & TP_STATUS_USER
        assert ring._status[place] == TP_STATUS_KERNEL
        ring.close()
