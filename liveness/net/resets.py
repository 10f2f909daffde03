"""Resets of this host's kernel, held back while a scan talks to TCP services, and the proof that none leaves.

The kernel knows nothing of the connections that a scan opens. It answers a SYN-ACK to such a connection with an RST,
which would end the connection before the service says anything. A table of nf_tables drops these resets: those from
the source ports of the scan to the ports of the services that it talks to. Frames of the scan itself are sent below
that table, through packet sockets.
"""

import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final, Self

from liveness.errors import UnsupportedError
from liveness.net import nftables
from liveness.packets import headers as hdr

PROOF_ADDRESS: Final = "127.0.0.1"
PROOF_WITHIN_S: Final = 10.0
"""Time in which the kernel has to answer a segment on loopback."""
_LOOPBACK: Final = "lo"
_CONTROL_PORTS: Final = (9, 13, 17, 19)
"""Ports of which one is no service of the scan: to it the kernel must send its reset."""
_RECEIVE_BYTES: Final = 2048
_SYN_ACK: Final = hdr.TCP_FLAG_SYN | hdr.TCP_FLAG_ACK


class ResetsHeld:
    """Resets of the kernel, held back from `port_first` to `port_last` towards the ports of services.

    A context manager; `close` lets resets leave again, as the end of the process does, however it ends.
    """

    def __init__(self, port_first: int, port_last: int, services: Sequence[int]) -> None:
        """Install the table. Raises UnsupportedError if the kernel refuses it."""
        self.port_first = port_first
        self.services = tuple(services)
        rules = [_rule(port_first, port_last, service) for service in services]
        self._socket = nftables.own_output_filter(f"liveness-{os.getpid()}-{id(self):x}", rules)

    def fileno(self) -> int:
        """Return the descriptor that the table belongs to: it exists while any process has it open."""
        return self._socket.fileno()

    def close(self) -> None:
        """Remove the table. It may be called twice."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def prove(self) -> None:
        """Prove on loopback that no reset leaves. Raises UnsupportedError if one does, or if nothing can be seen.

        A SYN-ACK to a source port of the scan must stay without an answer, and one from another service, which comes
        after it, must be answered: that shows that resets are seen at all.
        """
        control = next(port for port in _CONTROL_PORTS if port not in self.services)
        answered = answered_with_reset(self.port_first, (*self.services, control))
        if control not in answered:
            raise UnsupportedError(
                "the kernel's resets cannot be seen on loopback, so that nothing proves that they are held back: let"
                f" packets to {PROOF_ADDRESS} pass the firewall"
            )
        if answered != {control}:
            raise UnsupportedError(
                f"the kernel still resets connections of the scan (to port {min(answered - {control})}), although a"
                " table of nf_tables drops its resets: remove what sends them"
            )


def _rule(port_first: int, port_last: int, service: int) -> bytes:
    def port(number: int) -> bytes:
        return struct.pack(">H", number)

    reset = bytes([hdr.TCP_FLAG_RST])
    return b"".join(
        (
            nftables.is_protocol(hdr.PROTOCOL_TCP),
            nftables.transport_bytes(0, nftables.AT_LEAST, port(port_first)),
            nftables.transport_bytes(0, nftables.AT_MOST, port(port_last)),
            nftables.transport_bytes(2, nftables.EQUAL, port(service)),
            nftables.transport_bytes(hdr.TCP_FLAGS, nftables.UNEQUAL, b"\0", reset),
            nftables.drop(),
        )
    )


def answered_with_reset(port: int, services: Sequence[int]) -> set[int]:
    """Send a SYN-ACK from each service to `port` on loopback, and return to which of them the kernel sends a reset.

    The last one ends the wait: its reset comes after those to the others. Raises UnsupportedError without CAP_NET_RAW.
    """
    try:
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
        watcher = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise UnsupportedError("CAP_NET_RAW is missing: run as root, or setcap cap_net_raw,cap_net_admin+ep") from error
    answered: set[int] = set()
    with sender, watcher:
        watcher.bind((_LOOPBACK, hdr.ETHERTYPE_IPV4))
        for service in services:
            sender.sendto(_syn_ack(service, port), (PROOF_ADDRESS, 0))
        deadline = time.monotonic() + PROOF_WITHIN_S
        while services[-1] not in answered and (left_s := deadline - time.monotonic()) > 0:
            watcher.settimeout(left_s)
            try:
                packet = watcher.recv(_RECEIVE_BYTES)
            except TimeoutError:
                break
            answered |= {_reset_from(packet, port)} & set(services)
    return answered


def _syn_ack(service: int, port: int) -> bytes:
    """Return a SYN-ACK on loopback from `service` to `port`, IP header included."""
    address = socket.inet_aton(PROOF_ADDRESS)
    segment = struct.pack(">HHIIBBHHH", service, port, 1, 1, 5 << 4, _SYN_ACK, 1024, 0, 0)
    pseudo = address + address + struct.pack(">BBH", 0, hdr.PROTOCOL_TCP, len(segment))
    total = sum(struct.unpack(f">{(len(pseudo) + len(segment)) // 2}H", pseudo + segment))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF
    segment = segment[: hdr.TCP_CHECKSUM] + struct.pack(">H", checksum) + segment[hdr.TCP_CHECKSUM + 2 :]
    # The kernel fills in total length, identification and checksum of the IP header: raw(7).
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, hdr.PROTOCOL_TCP, 0) + address + address
    return ip + segment


def _reset_from(packet: bytes, port: int) -> int:
    """Return the service to which an IP packet is a reset from `port`, or 0 if it is anything else."""
    if len(packet) < hdr.IPV4_MIN_LENGTH or packet[hdr.IPV4_PROTOCOL] != hdr.PROTOCOL_TCP:
        return 0
    segment = packet[(packet[0] & 15) * 4 :]
    if len(segment) < hdr.TCP_MIN_LENGTH or not segment[hdr.TCP_FLAGS] & hdr.TCP_FLAG_RST:
        return 0
    source, destination = struct.unpack_from(">HH", segment)
    return destination if source == port else 0
