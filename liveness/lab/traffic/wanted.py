"""Actors whose traffic is wanted: clients of the services, users, peers, callers, and announcements."""

from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from liveness.lab.traffic.conversation import ACK, ICMP, RST, SYN, TCP, UDP, Answer, Conversations, Label, conversations
from liveness.lab.traffic.network import Network, Outage, Service, ephemeral, remotes, times
from liveness.lab.traffic.sessions import HOUR_MS, INTERVAL_MS, MINUTE_MS, ports, sessions

_PEER_EVERY_MS: Final = 15 * MINUTE_MS
_MUTE: Final = 0.03
"""Share of outbound conversations that are not answered."""
_ECHO: Final = 8 << 8


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
    made = sessions(
        rng, len(who), service.protocol, src=clients[who], dst=service.address, sport=ports(rng, len(who)),
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
        count = rng.poisson(service.visits * network.duration_ms / HOUR_MS, service.clients)
        who = np.repeat(np.arange(service.clients), count)
        made = _attempts(rng, service, addresses, who, times(rng, network, len(who)))
        parts.append(made)
        for _ in range(service.retries):
            failed = made["label"] == Label.UNREACHABLE
            who, when_ms = who[failed], made["start_ms"][failed] + MINUTE_MS
            inside = when_ms < network.end_ms
            who = who[inside]
            made = _attempts(rng, service, addresses, who, when_ms[inside])
            parts.append(made)
    return np.concatenate(parts)


def users(rng: Generator, network: Network) -> Conversations:
    """Local hosts that talk with servers outside; three in a hundred get no answer. Each asks for the time first."""
    hosts = len(network.hosts)
    count = round(hosts * 6 * network.duration_ms / HOUR_MS)
    web = sessions(
        rng, count, TCP, src=rng.choice(network.hosts, count), dst=rng.choice(remotes(rng, 500), count), dport=443,
        sport=ephemeral(rng, count), start_ms=times(rng, network, count),
    )  # fmt: skip
    mute = rng.random(count) < _MUTE
    web["answer"][mute], web["answer_packets"][mute], web["flags"][mute] = Answer.NONE, 0, SYN
    clock = sessions(
        rng, hosts, UDP, src=network.hosts, dst=rng.choice(remotes(rng, 20), hosts), dport=123,
        sport=ephemeral(rng, hosts), start_ms=network.start_ms + rng.integers(0, INTERVAL_MS // 10, hosts),
    )  # fmt: skip
    watched = rng.choice(network.hosts, min(hosts, 60), replace=False)
    rounds = network.duration_ms // (5 * MINUTE_MS)
    ping = sessions(
        rng, len(watched) * rounds, ICMP, src=remotes(rng, 1), dst=np.repeat(watched, rounds), dport=_ECHO,
        start_ms=np.tile(np.arange(rounds) * 5 * MINUTE_MS, len(watched)) + network.start_ms + 17,
    )  # fmt: skip
    ping["size"] = ping["answer_size"] = 84
    return np.concatenate([web, clock, ping])


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
        made = sessions(
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
    rounds = network.duration_ms // (5 * MINUTE_MS)
    start_ms = (network.start_ms + np.arange(rounds) * 5 * MINUTE_MS)[:, None] + rng.integers(0, 60_000, pairs)
    count = pairs * rounds
    signalling = sessions(
        rng, count, TCP, src=np.tile(near, rounds), dst=np.tile(far, rounds), dport=443, sport=ephemeral(rng, count),
        start_ms=start_ms.ravel(),
    )  # fmt: skip
    media = conversations(
        count, src=np.tile(far, rounds), dst=np.tile(near, rounds), sport=rng.integers(20_000, 40_000, count),
        dport=ephemeral(rng, count), protocol=UDP, start_ms=start_ms.ravel() + 400, size=200,
        packets=rng.integers(20, 200, count), duration_ms=rng.integers(5000, 60_000, count), label=Label.BENIGN,
    )  # fmt: skip
    return np.concatenate([signalling, media])


def announcements(rng: Generator, network: Network) -> Conversations:
    """Protocols that are one-way by nature: routing and discovery by multicast, DHCP, syslog, exports of flows."""
    kinds = (
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
