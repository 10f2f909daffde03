"""Actors: who begins conversations across the border, with what purpose, one function for each.

The shares of the classes are not those of any real network: every actor is there in numbers that a classifier can be
judged by.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from liveness.lab.traffic.conversation import (
    ACK,
    FIN,
    ICMP,
    PSH,
    RST,
    SYN,
    TCP,
    UDP,
    Answer,
    Conversations,
    Label,
    conversations,
)
from liveness.lab.traffic.network import (
    LOCAL_ADDRESSES,
    LOCAL_FIRST,
    OWN_PROBER,
    Network,
    Outage,
    Service,
    ephemeral,
    remotes,
    times,
)

_SESSION: Final = SYN | ACK | PSH | FIN
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
_PEER_EVERY_MS: Final = 15 * _MINUTE_MS
_INTERVAL_MS: Final = 600_000
"""Scans begin early in an interval of ten minutes, so that the first of them already decides who scans."""
_FIRST_UNPRIVILEGED: Final = 1024
_MUTE: Final = 0.03
"""Share of outbound conversations that are not answered."""
_DNS: Final = 53
_ECHO: Final = 8 << 8
_HOST_UNREACHABLE: Final = 3 << 8 | 1
_TIME_EXCEEDED: Final = 11 << 8


def _ports(rng: Generator, count: int) -> NDArray[np.int64]:
    """Draw source ports of clients outside."""
    return rng.integers(_FIRST_UNPRIVILEGED, 1 << 16, count)


def _sessions(rng: Generator, count: int, protocol: int, **columns: object) -> Conversations:
    """Return conversations that are answered, with packets of several sizes and some seconds of duration."""
    made = conversations(count, protocol=protocol, answer=Answer.REPLY, delay_ms=rng.integers(1, 300, count), **columns)
    if protocol == TCP:
        made["packets"], made["answer_packets"] = rng.integers(4, 20, count), rng.integers(3, 30, count)
        made["flags"] = made["answer_flags"] = _SESSION
        made["duration_ms"] = rng.integers(100, 30_000, count)
    else:
        made["packets"] = made["answer_packets"] = 1
    made["size"], made["answer_size"] = rng.integers(60, 600, count), rng.integers(60, 1400, count)
    return made


def _fail(made: Conversations, failing: NDArray[np.bool_], outage: Outage) -> None:
    """Turn answered conversations with a service into attempts during an outage."""
    tcp = failing & (made["protocol"] == TCP)
    made["label"][failing] = Label.UNREACHABLE
    made["answer"][failing] = outage.answer
    made["size"][failing] = 60
    made["answer_size"][failing] = 40
    made["answer_packets"][failing] = outage.answer != Answer.NONE
    made["answer_flags"][failing] = 0
    made["duration_ms"][failing] = 0
    made["packets"][failing] = 1
    made["flags"][tcp] = SYN
    made["answer_flags"][tcp] = RST | ACK if outage.answer == Answer.RESET else 0
    if outage.answer == Answer.NONE:  # the kernel repeats its SYN after one and after three seconds
        made["packets"][tcp] = 3
        made["duration_ms"][tcp] = 3000


def _attempts(
    rng: Generator, service: Service, clients: NDArray[np.uint32], who: NDArray[np.int64], when_ms: NDArray[np.int64]
) -> Conversations:
    """Return one conversation with a service for each client number and time, failed where an outage says so."""
    made = _sessions(
        rng, len(who), service.protocol, src=clients[who], dst=service.address, sport=_ports(rng, len(who)),
        dport=service.port, start_ms=when_ms,
    )  # fmt: skip
    for outage in service.outages:
        hit = (when_ms >= outage.first_ms) & (when_ms < outage.end_ms) & (who < outage.share * len(clients))
        _fail(made, hit, outage)
    return made


def clients(rng: Generator, network: Network) -> Conversations:
    """Clients of the local services, which fail during outages and then try again as their protocol does."""
    parts = []
    for service in network.services:
        addresses = remotes(rng, service.clients)
        count = rng.poisson(service.visits * network.duration_ms / _HOUR_MS, service.clients)
        who = np.repeat(np.arange(service.clients), count)
        made = _attempts(rng, service, addresses, who, times(rng, network, len(who)))
        parts.append(made)
        for _ in range(service.retries):
            failed = made["label"] == Label.UNREACHABLE
            who, when_ms = who[failed], made["start_ms"][failed] + _MINUTE_MS
            inside = when_ms < network.end_ms
            who = who[inside]
            made = _attempts(rng, service, addresses, who, when_ms[inside])
            parts.append(made)
    return np.concatenate(parts)


def users(rng: Generator, network: Network) -> Conversations:
    """Local hosts that talk with servers outside; three in a hundred get no answer. Each asks for the time first."""
    hosts = len(network.hosts)
    count = round(hosts * 6 * network.duration_ms / _HOUR_MS)
    web = _sessions(
        rng, count, TCP, src=rng.choice(network.hosts, count), dst=rng.choice(remotes(rng, 500), count), dport=443,
        sport=ephemeral(rng, count), start_ms=times(rng, network, count),
    )  # fmt: skip
    mute = rng.random(count) < _MUTE
    web["answer"][mute], web["answer_packets"][mute], web["flags"][mute] = Answer.NONE, 0, SYN
    clock = _sessions(
        rng, hosts, UDP, src=network.hosts, dst=rng.choice(remotes(rng, 20), hosts), dport=123,
        sport=ephemeral(rng, hosts), start_ms=network.start_ms + rng.integers(0, _INTERVAL_MS // 10, hosts),
    )  # fmt: skip
    watched = rng.choice(network.hosts, min(hosts, 60), replace=False)
    rounds = network.duration_ms // (5 * _MINUTE_MS)
    ping = _sessions(
        rng, len(watched) * rounds, ICMP, src=remotes(rng, 1), dst=np.repeat(watched, rounds), dport=_ECHO,
        start_ms=np.tile(np.arange(rounds) * 5 * _MINUTE_MS, len(watched)) + network.start_ms + 17,
    )  # fmt: skip
    ping["size"] = ping["answer_size"] = 84
    return np.concatenate([web, clock, ping])


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
    intervals = max(1, network.duration_ms // _INTERVAL_MS)
    parts = []
    for port in rng.choice([22, 23, 445, 3389, 8080], 8):
        targets = rng.permutation(everything)
        begin = network.start_ms + int(rng.integers(intervals)) * _INTERVAL_MS + int(rng.integers(_INTERVAL_MS // 3))
        parts.append(
            conversations(
                len(targets), src=remotes(rng, 1), dst=targets, sport=_ports(rng, len(targets)), dport=port,
                start_ms=begin + np.arange(len(targets)) * int(rng.integers(20, 100)),
            )
        )  # fmt: skip
    for host in rng.choice(network.hosts[10:], 3, replace=False):
        begin = network.start_ms + int(rng.integers(max(1, network.duration_ms - 2 * _MINUTE_MS)))
        parts.append(
            conversations(
                1000, src=remotes(rng, 1), dst=host, sport=_ports(rng, 1000), dport=rng.permutation(1000) + 1,
                start_ms=begin + np.arange(1000) * 50,
            )
        )  # fmt: skip
    for _ in range(5):
        count = int(network.duration_ms // (75 * 1000))
        parts.append(
            conversations(
                count, src=remotes(rng, 1), dst=rng.choice(everything, count, replace=False), dport=5900,
                sport=_ports(rng, count), start_ms=times(rng, network, count),
            )
        )  # fmt: skip
    sources = np.repeat(remotes(rng, 400), rng.integers(1, 4, 400))
    parts.append(
        conversations(
            len(sources), src=sources, dst=rng.choice(everything, len(sources)), sport=_ports(rng, len(sources)),
            dport=rng.choice([8291, 7547, 5555], len(sources)), start_ms=times(rng, network, len(sources)),
        )
    )  # fmt: skip
    made = np.concatenate(parts)
    made["protocol"], made["flags"], made["label"] = TCP, SYN, Label.SCAN
    _answer_scan(rng, network, made, resets=0.3)
    return made


def backscatter(rng: Generator, network: Network) -> Conversations:
    """Victims of floods with forged sources, who answer to addresses here that never wrote to them."""
    count = round(900 * network.duration_ms / _HOUR_MS)
    victims, ports = remotes(rng, 3), np.array([80, 443, _DNS])
    which = rng.integers(3, size=count)
    made = conversations(
        count, src=victims[which], sport=ports[which], dst=rng.integers(1, 1023, count) + LOCAL_FIRST,
        dport=ephemeral(rng, count), protocol=TCP, label=Label.BACKSCATTER, start_ms=times(rng, network, count),
        flags=rng.choice([SYN | ACK, RST, RST | ACK], count), packets=rng.integers(1, 4, count), duration_ms=900,
    )  # fmt: skip
    udp = ports[which] == _DNS
    made["protocol"][udp], made["flags"][udp], made["size"][udp] = UDP, 0, 120
    errors = conversations(
        count // 8, src=rng.choice(remotes(rng, 6), count // 8), dst=rng.integers(1, 1023, count // 8) + LOCAL_FIRST,
        dport=rng.choice([_HOST_UNREACHABLE, _TIME_EXCEEDED], count // 8), protocol=ICMP, size=56,
        label=Label.BACKSCATTER, start_ms=times(rng, network, count // 8),
    )  # fmt: skip
    return np.concatenate([made, errors])


def peers(rng: Generator, network: Network) -> Conversations:
    """Members of a peer-to-peer network: six local ones, which leave after two thirds of the time, and their peers."""
    parts = []
    left_ms = network.start_ms + network.duration_ms * 2 // 3
    for host in network.hosts[20:26]:
        others = remotes(rng, 150)
        rounds = network.duration_ms // _PEER_EVERY_MS
        who = np.tile(np.arange(150), rounds)
        when_ms = network.start_ms + np.repeat(np.arange(rounds) * _PEER_EVERY_MS, 150)
        when_ms += rng.integers(
            0, _PEER_EVERY_MS // 2, len(who)
        )  # minutes apart: no meter makes one flow of two visits
        made = _sessions(
            rng, len(who), UDP, src=others[who], dst=host, sport=rng.integers(49_152, 1 << 16, 150)[who],
            dport=int(rng.integers(49_152, 1 << 16)), start_ms=when_ms,
        )  # fmt: skip
        stale = when_ms >= left_ms
        made["answer"][stale], made["answer_packets"][stale], made["label"][stale] = Answer.NONE, 0, Label.PEER
        parts.append(made)
    return np.concatenate(parts)


def streams(rng: Generator, network: Network) -> Conversations:
    """Callers: signalling that is answered, renewed every five minutes, and media that only one side sends."""
    pairs = 25
    far, near = remotes(rng, pairs), rng.choice(network.hosts[30:], pairs, replace=False)
    rounds = network.duration_ms // (5 * _MINUTE_MS)
    start_ms = (network.start_ms + np.arange(rounds) * 5 * _MINUTE_MS)[:, None] + rng.integers(0, 60_000, pairs)
    count = pairs * rounds
    signalling = _sessions(
        rng, count, TCP, src=np.tile(near, rounds), dst=np.tile(far, rounds), dport=443, sport=ephemeral(rng, count),
        start_ms=start_ms.ravel(),
    )  # fmt: skip
    media = conversations(
        count, src=np.tile(far, rounds), dst=np.tile(near, rounds), sport=rng.integers(20_000, 40_000, count),
        dport=ephemeral(rng, count), protocol=UDP, start_ms=start_ms.ravel() + 400, size=200,
        packets=rng.integers(20, 200, count), duration_ms=rng.integers(5000, 60_000, count), label=Label.BENIGN,
    )  # fmt: skip
    return np.concatenate([signalling, media])


def bogons(rng: Generator, network: Network) -> Conversations:
    """Packets from addresses that cannot be outside: private, shared and reserved space, to hosts in use."""
    count = round(150 * network.duration_ms / _HOUR_MS)
    bases = np.array([10 << 24, 192 << 24 | 168 << 16, 100 << 24 | 64 << 16, 240 << 24], np.int64)
    return conversations(
        count, src=rng.choice(bases, count) + rng.integers(1, 1 << 14, count),
        dst=rng.choice(network.hosts[30:], count), sport=_ports(rng, count),
        dport=rng.choice([80, 139, 6000], count), protocol=TCP, flags=SYN, packets=rng.integers(1, 4, count),
        duration_ms=3000, label=Label.BOGON, start_ms=times(rng, network, count),
    )  # fmt: skip


def own_probes(rng: Generator, network: Network) -> Conversations:
    """Probes of a census of ours to every local address, which a gate has to count and leave out."""
    count = LOCAL_ADDRESSES
    made = conversations(
        count, src=OWN_PROBER, dst=np.arange(count) + LOCAL_FIRST, sport=_ports(rng, count), dport=443, protocol=TCP,
        flags=SYN, label=Label.OWN, start_ms=network.start_ms + rng.integers(network.duration_ms // 2, size=count),
    )  # fmt: skip
    used = np.isin(made["dst"], network.hosts)
    made["answer"][used], made["answer_flags"][used], made["answer_packets"][used] = Answer.RESET, RST | ACK, 1
    return made


def announcements(rng: Generator, network: Network) -> Conversations:
    """Protocols that are one-way by nature: routing and discovery by multicast, DHCP, syslog, exports of flows."""
    kinds: Sequence[tuple[int, int, int, int]] = (
        (224 << 24 | 5, 0, 0, 89), (239 << 24 | 255 << 16 | 255 << 8 | 250, 1900, 1900, UDP),
        (0xFFFFFFFF, 68, 67, UDP), (81 << 24 | 1, 40_000, 514, UDP), (81 << 24 | 2, 40_001, 2055, UDP),
    )  # fmt: skip
    parts = [
        conversations(
            60, src=rng.choice(network.hosts, 60), dst=dst, sport=sport, dport=dport, protocol=protocol,
            label=Label.EXCLUDED, start_ms=times(rng, network, 60), size=300,
        )
        for dst, sport, dport, protocol in kinds
    ]  # fmt: skip
    return np.concatenate(parts)


ACTORS: Final[tuple[Callable[[Generator, Network], Conversations], ...]] = (
    clients, users, scanners, backscatter, peers, streams, bogons, own_probes, announcements,
)  # fmt: skip
"""Every actor; a new one is a function and its name here."""
