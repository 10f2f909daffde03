"""The kernel's resets: held back towards the services of a scan only, seen by a peer, and sent again afterwards."""

import os
import signal
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from liveness.errors import UnsupportedError
from liveness.net.resets import ResetsHeld, answered_with_reset
from liveness.net.sockets import bind_packet_socket, open_packet_socket
from liveness.system.child import fork
from liveness.system.namespace import Namespace
from tests.net.support import cable, in_private_network

ETH_P_IP = 0x0800
OURS, PEER = "10.9.0.1", "10.9.0.2"


def _resets(peer: Namespace, ports: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Send a SYN-ACK from each (service, port) on the peer's side, and return those that a reset came back to.

    The last one must be answered: its reset ends the wait.
    """

    def far() -> set[tuple[int, int]]:
        seen = set()
        with open_packet_socket() as handle:
            bind_packet_socket(handle, "v1", ETH_P_IP)
            for service, port in ports:
                segment = TCP(sport=service, dport=port, seq=1, ack=1, flags="SA", window=1024)
                frame = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01") / IP(src=PEER, dst=OURS) / segment
                handle.send(bytes(frame))
            handle.settimeout(20)
            while ports[-1] not in seen:
                packet = Ether(handle.recv(2048))
                if TCP in packet and packet[IP].src == OURS and packet[TCP].flags.R:
                    seen.add((packet[TCP].dport, packet[TCP].sport))
        return seen

    return peer.run(far)


@in_private_network
def test_resets_of_the_scan_are_held_back_and_no_others() -> None:
    with cable() as peer:
        asked = [(80, 40_000), (80, 40_999), (22, 40_500), (80, 39_999), (80, 41_000), (443, 40_000)]
        assert _resets(peer, asked) == set(asked)
        with ResetsHeld(40_000, 40_999, (80, 22)) as held:
            held.prove()
            assert _resets(peer, asked) == {(80, 39_999), (80, 41_000), (443, 40_000)}
        assert _resets(peer, asked) == set(asked)


@in_private_network
def test_several_runs_hold_back_resets_at_the_same_time() -> None:
    with ResetsHeld(40_000, 40_999, (80,)), ResetsHeld(42_000, 42_999, (80,)) as second:
        second.prove()
        assert answered_with_reset(40_000, (80, 9)) == {9}
        assert answered_with_reset(42_000, (80, 9)) == {9}
        assert answered_with_reset(41_500, (80, 9)) == {80, 9}


@in_private_network
def test_resets_leave_again_when_the_process_that_held_them_is_killed() -> None:
    reader, writer = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            with ResetsHeld(40_000, 40_999, (80,)):
                os.write(writer, b"held")
                time.sleep(600)
        finally:
            os._exit(1)
    assert os.read(reader, 4) == b"held"
    assert answered_with_reset(40_000, (80, 9)) == {9}
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 60  # the kernel removes the table when it has closed the socket
    while answered_with_reset(40_000, (80, 9)) == {9} and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answered_with_reset(40_000, (80, 9)) == {80, 9}


@in_private_network
def test_a_table_that_lets_resets_pass_is_no_proof() -> None:
    with ResetsHeld(40_000, 40_999, (80,)) as held:
        held.port_first = 41_000
        with pytest.raises(UnsupportedError, match="still resets connections of the scan"):
            held.prove()


def test_a_process_without_the_right_is_refused_by_name() -> None:
    def without_capabilities() -> str:
        from liveness.system.privileges import drop_privileges  # noqa: PLC0415 - only in the child

        drop_privileges(None)
        try:
            ResetsHeld(40_000, 40_999, (80,))
        except UnsupportedError as error:
            return str(error)
        return "installed"

    from liveness.system.child import run_in_child  # noqa: PLC0415

    assert "CAP_NET_ADMIN" in run_in_child(without_capabilities)
