"""What an interface dropped, as /proc tells it, judged by netlink."""

import socket

import pytest

from liveness.errors import LivenessError
from liveness.net.links import interface_counters, interface_drops
from tests.net.support import TEST_ETHERTYPE, cable, in_private_network

RECEIVED = "bytes packets errs drop fifo frame compressed multicast"
SENT = "bytes packets errs drop fifo colls carrier compressed"
TEXT = f"""Inter-|   Receive       |  Transmit
 face |{RECEIVED}|{SENT}
    lo:    100       1    0    0    0     0     0     0      100       1    0    0    0     0     0     0
  eth0: 1000000    2000    3    4    5     6    7     8  2000000    3000    9   10   11    12    13    14
eth0.7:12345678    2000    0   40    0     0    0     0  2000000    3000    0    0    0     0     0     0
"""


def test_both_directions_are_counted() -> None:
    assert [interface_drops(name, TEXT) for name in ("lo", "eth0", "eth0.7")] == [0, 14, 40]


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(LivenessError, match="interface eth is gone"):
        interface_drops("eth", TEXT)


@pytest.mark.lab
@in_private_network
def test_it_is_this_namespace_s_interface_and_netlink_agrees() -> None:
    """Frames of a protocol that nobody here speaks are dropped."""
    frame = bytes.fromhex("020000000001020000000002") + TEST_ETHERTYPE.to_bytes(2, "big") + bytes(46)

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sending:
            sending.bind(("v1", 0))
            for _ in range(5):
                sending.send(frame)

    with cable() as peer:
        before = interface_drops("v0")
        peer.run(send)
        counters = interface_counters("v0")
        assert interface_drops("v0") == counters.rx_dropped + counters.rx_missed + counters.tx_dropped
        assert interface_drops("v0") >= before + 5
