"""An independent judge of a lab: probes made and replies read by scapy, over raw sockets, with no word of liveness."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.packet import Packet, Raw

ETH_P_IP = 0x0800
SCANNER = "10.255.0.2"  # given, because scapy would take the route of the namespace it was imported in
FIRST_PORT = 20000
ORIGINATE = bytes.fromhex("eb1234567890abcd")


@dataclass(frozen=True, slots=True)
class Seen:
    """A reply as a person would write it down: ('syn-ack', source), ('error-3-13', source)."""

    label: str
    source: str


def make_probe(target: str, probe: str, mark: int, control_port: int, ttl: int = 64) -> Packet:
    """Build one probe; `mark` goes where every reply, or quote of it, gives it back."""
    ip = IP(src=SCANNER, dst=target, ttl=ttl, id=mark)
    if probe == "icmp":
        return ip / ICMP(id=mark, seq=1) / Raw(b"independent prober")
    if probe == "dns":
        return ip / UDP(sport=mark, dport=53) / DNS(id=mark, rd=1, qd=DNSQR(qname="example.org"))
    if probe == "ntp":
        # scapy keeps timestamps as floats: bytes, so that the 64 bits to come back are exactly these
        return ip / UDP(sport=mark, dport=123) / Raw(b"\x23" + bytes(39) + ORIGINATE)
    port = control_port if probe == "tcp/control" else int(probe.removeprefix("tcp/"))
    return ip / TCP(sport=mark, dport=port, flags="S", seq=mark * 7, options=[("MSS", 1460)])


def read_reply(packet: Packet) -> tuple[int, Seen] | None:
    """Return the mark and what was seen, None for what is no reply to a probe."""
    source = packet[IP].src
    if IPerror in packet:
        quoted = packet[IPerror]
        inner = quoted.payload
        mark = inner.sport if isinstance(inner, (TCPerror, UDPerror)) else inner.id
        return mark, Seen(f"error-{packet[ICMP].type}-{packet[ICMP].code}", source)
    if ICMP in packet:
        return (packet[ICMP].id, Seen("echo-reply", source)) if packet[ICMP].type == 0 else None
    if TCP in packet:
        tcp = packet[TCP]
        if tcp.ack != tcp.dport * 7 + 1:
            return tcp.dport, Seen("wrong ack", source)
        label = {"SA": "syn-ack", "RA": "rst"}.get(str(tcp.flags), f"flags {tcp.flags}")
        return tcp.dport, Seen(label, source)
    if UDP in packet:
        udp = packet[UDP]
        valid = False
        if udp.sport == 53 and DNS in packet:
            dns = packet[DNS]
            valid = dns.qr == 1 and dns.id == udp.dport and dns.qd is not None and dns.qdcount == 1
        elif udp.sport == 123:
            valid = bytes(udp.payload)[24:32] == ORIGINATE and bytes(udp.payload)[0] & 7 == 4
        return udp.dport, Seen("answer" if valid else "payload", source)
    return None


def probe_all(
    wanted: Sequence[tuple[str, str]], control_port: int, wait_s: float = 1.0, ttl: int = 64
) -> dict[tuple[str, str], list[Seen]]:
    """Send a probe for each (target, probe) and return what came back for each, until `wait_s` after the last one left.

    To be called inside a lab, with at most 40,000 probes; a pair that stands twice is probed twice. Every checksum of
    every reply is checked: IP, and TCP, UDP or ICMP.
    """
    frames = [
        bytes(make_probe(target, probe, FIRST_PORT + n, control_port, ttl)) for n, (target, probe) in enumerate(wanted)
    ]
    received: list[bytes] = []
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP)) as capture,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender,
    ):
        capture.setblocking(False)
        for frame, (target, _) in zip(frames, wanted, strict=True):
            sender.sendto(frame, (target, 0))
            drain(capture, received)
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            drain(capture, received)
            time.sleep(0.005)
    seen: dict[tuple[str, str], list[Seen]] = {pair: [] for pair in wanted}
    for data in received:
        packet = IP(data)
        check_checksums(packet)
        found = read_reply(packet)
        if found is not None and 0 <= found[0] - FIRST_PORT < len(wanted):
            seen[wanted[found[0] - FIRST_PORT]].append(found[1])
    return seen


def drain(capture: socket.socket, received: list[bytes]) -> None:
    """Append every packet that has arrived, those this host sent apart."""
    try:
        while True:
            data, sender = capture.recvfrom(65535)
            if sender[2] != socket.PACKET_OUTGOING:
                received.append(data)
    except BlockingIOError:
        return


def check_checksums(packet: Packet) -> None:
    """Raise AssertionError if a checksum of a received packet is not what scapy computes for it."""
    again = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in again and layer in packet:
            del again[layer].chksum
    again = IP(bytes(again))
    for layer in (IP, TCP, UDP, ICMP):
        if layer in packet and not (layer is UDP and packet[UDP].chksum == 0):
            assert packet[layer].chksum == again[layer].chksum, f"wrong {layer.__name__} checksum: {packet.summary()}"
