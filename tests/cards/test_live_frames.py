"""Live frames on a card whose driver takes them while an XDP program is attached: byte for byte, and counted."""

from liveness.net.rx_packet import PacketRxRing
from liveness.net.sockets import interface_index
from liveness.net.transport import XDP_LIVE, open_transport
from liveness.net.xdp_program import program_attached
from liveness.system.namespace import Namespace
from tests.cards.support import CARD, FAR, exchange
from tests.cards.test_zero_copy import send
from tests.net.support import TEST_ETHERTYPE, ethertype_filter
from tests.net.test_rings import inside


def test_frames_arrive_byte_for_byte_and_the_host_goes_on(far: Namespace) -> None:
    with inside(far):
        rx = PacketRxRing(FAR, ethertype_filter(TEST_ETHERTYPE), ring_mib=128)  # which the sender keeps from its core
    chosen = open_transport(CARD, 1, 120, 9, XDP_LIVE, "auto")
    (ring,) = chosen.rings
    assert list(chosen.names) == [XDP_LIVE]
    (reason,) = chosen.reasons
    assert "only while one is attached" in reason
    assert program_attached(interface_index(CARD))
    total = 0
    while total < 1_000:
        send(ring, rx, 50, total)
        total += 50
    assert (ring.completed, ring.errors) == (total, 0)
    exchange(far, 20)
    ring.close()
    assert not program_attached(interface_index(CARD))
    rx.close()
