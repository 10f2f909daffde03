"""Actors whose traffic is unwanted: scanners, backscatter, bogons; and our own probes."""

from typing import Final

import numpy as np
from numpy.random import Generator

from liveness.lab.traffic.conversation import ACK, ICMP, RST, SYN, TCP, UDP, Answer, Conversations, Label, conversations
from liveness.lab.traffic.network import LOCAL_ADDRESSES, LOCAL_FIRST, OWN_PROBER, Network, ephemeral, remotes, times
from liveness.lab.traffic.sessions import HOUR_MS, INTERVAL_MS, MINUTE_MS, ports

_DNS: Final = 53
_HOST_UNREACHABLE: Final = 3 << 8 | 1
_TIME_EXCEEDED: Final = 11 << 8


def _answer_scan(rng: Generator, network: Network, made: Conversations, resets: float) -> None:
    """Answer a scan where a service listens, with RST where a share of the other hosts does so."""
    open_ = np.zeros(len(made), np.bool_)
    for service in network.services:
        if service.protocol == TCP and not service.outages:
            open_ |= (made["dst"] == service.address) & (made["dport"] == service.port)
    used = np.isin(made["dst"], network.hosts[10:])
    reset = used & ~open_ & (rng.random(len(made)) < resets)
    made["delay_ms"] = rng.integers(1, 300, len(made))
    for which, answer, flags in ((open_, Answer.REPLY, SYN | ACK), (reset, Answer.RESET, RST | ACK)):
        made["answer"][which], made["answer_flags"][which], made["answer_packets"][which] = answer, flags, 1
    made["packets"][open_], made["flags"][open_] = 2, SYN | RST  # the scanner's kernel resets what it never opened
    made["duration_ms"][open_] = 400


def scanners(rng: Generator, network: Network) -> Conversations:
    """Scanners: of all addresses for a port, of all ports of a host, slow ones, and many sources with few targets each.

    None of them probes a service that has an outage: whether a scanner's attempt counts as a failed client is a
    question to the classifier, and the truth about services must not depend on it.
    """
    everything = np.arange(LOCAL_ADDRESSES, dtype=np.uint32) + np.uint32(LOCAL_FIRST)
    intervals = max(1, network.duration_ms // INTERVAL_MS)
    parts = []
    for port in rng.choice([22, 23, 445, 3389, 8080], 8):
        targets = rng.permutation(everything)
        begin = network.start_ms + int(rng.integers(intervals)) * INTERVAL_MS + int(rng.integers(INTERVAL_MS // 3))
        parts.append(
            conversations(
                len(targets), src=remotes(rng, 1), dst=targets, sport=ports(rng, len(targets)), dport=port,
                start_ms=begin + np.arange(len(targets)) * int(rng.integers(20, 100)),
            )
        )  # fmt: skip
    for host in rng.choice(network.hosts[10:], 3, replace=False):
        begin = network.start_ms + int(rng.integers(max(1, network.duration_ms - 2 * MINUTE_MS)))
        parts.append(
            conversations(
                1000, src=remotes(rng, 1), dst=host, sport=ports(rng, 1000), dport=rng.permutation(1000) + 1,
                start_ms=begin + np.arange(1000) * 50,
            )
        )  # fmt: skip
    for _ in range(5):
        count = int(network.duration_ms // (75 * 1000))
        parts.append(
            conversations(
                count, src=remotes(rng, 1), dst=rng.choice(everything, count, replace=False), dport=5900,
                sport=ports(rng, count), start_ms=times(rng, network, count),
            )
        )  # fmt: skip
    sources = np.repeat(remotes(rng, 400), rng.integers(1, 4, 400))
    parts.append(
        conversations(
            len(sources), src=sources, dst=rng.choice(everything, len(sources)), sport=ports(rng, len(sources)),
            dport=rng.choice([8291, 7547, 5555], len(sources)), start_ms=times(rng, network, len(sources)),
        )
    )  # fmt: skip
    made = np.concatenate(parts)
    made["protocol"], made["flags"], made["label"] = TCP, SYN, Label.SCAN
    _answer_scan(rng, network, made, resets=0.3)
    return made


def backscatter(rng: Generator, network: Network) -> Conversations:
    """Victims of floods with forged sources, who answer to addresses here that never wrote to them."""
    count = round(900 * network.duration_ms / HOUR_MS)
    victims, services = remotes(rng, 3), np.array([80, 443, _DNS])
    which = rng.integers(3, size=count)
    made = conversations(
        count, src=victims[which], sport=services[which], dst=rng.integers(1, 1023, count) + LOCAL_FIRST,
        dport=ephemeral(rng, count), protocol=TCP, label=Label.BACKSCATTER, start_ms=times(rng, network, count),
        flags=rng.choice([SYN | ACK, RST, RST | ACK], count), packets=rng.integers(1, 4, count), duration_ms=900,
    )  # fmt: skip
    udp = services[which] == _DNS
    made["protocol"][udp], made["flags"][udp], made["size"][udp] = UDP, 0, 120
    errors = conversations(
        count // 8, src=rng.choice(remotes(rng, 6), count // 8), dst=rng.integers(1, 1023, count // 8) + LOCAL_FIRST,
        dport=rng.choice([_HOST_UNREACHABLE, _TIME_EXCEEDED], count // 8), protocol=ICMP, size=56,
        label=Label.BACKSCATTER, start_ms=times(rng, network, count // 8),
    )  # fmt: skip
    return np.concatenate([made, errors])


def bogons(rng: Generator, network: Network) -> Conversations:
    """Packets from addresses that cannot be outside: private, shared and reserved space, to hosts in use."""
    count = round(150 * network.duration_ms / HOUR_MS)
    bases = np.array([10 << 24, 192 << 24 | 168 << 16, 100 << 24 | 64 << 16, 240 << 24], np.int64)
    return conversations(
        count, src=rng.choice(bases, count) + rng.integers(1, 1 << 14, count),
        dst=rng.choice(network.hosts[30:], count), sport=ports(rng, count),
        dport=rng.choice([80, 139, 6000], count), protocol=TCP, flags=SYN, packets=rng.integers(1, 4, count),
        duration_ms=3000, label=Label.BOGON, start_ms=times(rng, network, count),
    )  # fmt: skip


def own_probes(rng: Generator, network: Network) -> Conversations:
    """Probes of a census of ours to every local address, which a gate has to count and leave out."""
    count = LOCAL_ADDRESSES
    made = conversations(
        count, src=OWN_PROBER, dst=np.arange(count) + LOCAL_FIRST, sport=ports(rng, count), dport=443, protocol=TCP,
        flags=SYN, label=Label.OWN, start_ms=network.start_ms + rng.integers(network.duration_ms // 2, size=count),
    )  # fmt: skip
    used = np.isin(made["dst"], network.hosts)
    made["answer"][used], made["answer_flags"][used], made["answer_packets"][used] = Answer.RESET, RST | ACK, 1
    return made
