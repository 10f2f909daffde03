"""Traffic for tests of flows: packets as scapy builds them, and the totals that any correct reader must find."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from liveness.flows.record import Flows, empty

EPOCH_S = 1_700_000_000

Key = tuple[str, str, int, int, int]
"""Source, destination, their ports, protocol."""


@dataclass(frozen=True)
class Traffic:
    """A capture and what is in it."""

    path: Path
    packets: list[Packet]

    @property
    def bytes(self) -> int:
        return sum(len(packet[IP]) for packet in self.packets)


def make_traffic(path: Path, count: int = 800, seed: int = 1) -> Traffic:
    """Write a capture of TCP, UDP and ICMP between two networks, some of it tagged."""
    draw = random.Random(seed)
    packets: list[Packet] = []
    now_us = 0
    for _ in range(count):
        now_us += draw.randrange(1, 200_000)
        ends = [f"10.0.{draw.randrange(3)}.{draw.randrange(1, 20)}", f"192.0.2.{draw.randrange(1, 20)}"]
        draw.shuffle(ends)
        kind = draw.random()
        if kind < 0.6:
            layer: Packet = TCP(
                sport=draw.choice([80, 443, 5000]),
                dport=draw.choice([80, 443, 6000]),
                flags=draw.choice(["S", "SA", "A", "PA"]),
            )
        elif kind < 0.9:
            layer = UDP(sport=draw.choice([53, 5000]), dport=draw.choice([53, 123]))
        else:
            layer = ICMP(type=draw.choice([0, 8, 3]), code=draw.choice([0, 1]))
        link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        if draw.random() < 0.1:
            link /= Dot1Q(vlan=7)
        packet = link / IP(src=ends[0], dst=ends[1]) / layer / Raw(b"x" * draw.randrange(200))
        packet = Ether(bytes(packet))  # with lengths and checksums
        packet.time = EPOCH_S + now_us / 1e6
        packets.append(packet)
    wrpcap(str(path), packets)
    return Traffic(path, packets)


def key_of(packet: Packet) -> Key:
    """Return a packet's key: addresses, ports (ICMP: 0 and type * 256 + code), protocol."""
    ip = packet[IP]
    if TCP in packet or UDP in packet:
        layer = packet[TCP] if TCP in packet else packet[UDP]
        return ip.src, ip.dst, layer.sport, layer.dport, ip.proto
    return ip.src, ip.dst, 0, packet[ICMP].type * 256 + packet[ICMP].code, ip.proto


def totals(packets: list[Packet]) -> dict[Key, tuple[int, int]]:
    """Return packets and bytes by key."""
    found: dict[Key, tuple[int, int]] = {}
    for packet in packets:
        key = key_of(packet)
        number, size = found.get(key, (0, 0))
        found[key] = number + 1, size + len(packet[IP])
    return found


def totals_of(flows: Flows) -> dict[Key, tuple[int, int]]:
    """Return packets and bytes by key, of flow records."""
    found: dict[Key, tuple[int, int]] = {}
    for row in flows:
        src, dst = (".".join(str(byte) for byte in int(row[name]).to_bytes(4, "big")) for name in ("src", "dst"))
        key = src, dst, int(row["sport"]), int(row["dport"]), int(row["protocol"])
        number, size = found.get(key, (0, 0))
        found[key] = number + int(row["packets"]), size + int(row["bytes"])
    return found


def joined(batches: "list[Flows]") -> Flows:
    """Return batches as one."""
    return np.concatenate(batches) if batches else empty(0)
