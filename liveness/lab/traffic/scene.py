"""The scene: all conversations of a network's border over some hours, drawn from a seed, and what is true of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc_brief
from liveness.errors import UsageError
from liveness.lab.traffic.actors import ACTORS
from liveness.lab.traffic.conversation import Answer, Conversations, Label
from liveness.lab.traffic.network import LOCAL_PREFIX, OWN_PROBER, Network, Outage, Service, make_network
from liveness.lab.traffic.wanted import peers
from liveness.space.addresses import format_address

INTERVAL_MS: Final = 600_000
START_MS: Final = 1_774_857_600_000
"""2026-03-30T08:00:00Z."""
SHORTEST_HOURS: Final = 2.0
LONGEST_HOURS: Final = 48.0
_NS_PER_MS: Final = 1_000_000
_PROTOCOLS: Final = {6: "tcp", 17: "udp"}


@dataclass(frozen=True, slots=True)
class Scene:
    """A network and its conversations in the order in which they begin; two with one key are of ICMP or of peers."""

    seed: int
    network: Network
    conversations: Conversations


def make_scene(seed: int, hours: float = 3.0, scale: float = 1.0) -> Scene:
    """Draw a scene of some hours; `scale` multiplies the clients of the services."""
    if not SHORTEST_HOURS <= hours <= LONGEST_HOURS:
        raise UsageError(f"--hours {hours:g}: from {SHORTEST_HOURS:g}, so that outages fit in, to {LONGEST_HOURS:g}")
    rng = np.random.default_rng(seed)
    network = make_network(rng, START_MS, round(hours * 3_600_000), scale)
    parts = []
    for number, actor in enumerate(ACTORS):
        made = actor(rng, network)
        made["actor"] = number
        parts.append(made)
    made = np.concatenate(parts)
    made = made[_first_of_key(made)]
    return Scene(seed, network, made[np.argsort(made["start_ms"], kind="stable")])


def _first_of_key(made: Conversations) -> NDArray[np.int64]:
    """Return the indices of conversations to keep: of several with one key the first, but all of ICMP and of peers."""
    keys = np.zeros(len(made), [(name, made.dtype[name]) for name in ("src", "dst", "sport", "dport", "protocol")])
    for name in keys.dtype.names or ():
        keys[name] = made[name]
    repeated = (made["sport"] == 0) | (made["actor"] == ACTORS.index(peers))
    _, first = np.unique(keys[~repeated], return_index=True)
    return np.sort(np.concatenate([np.flatnonzero(~repeated)[first], np.flatnonzero(repeated)]))


@dataclass(frozen=True, slots=True)
class Clients:
    """Clients of a service in an interval, or in all of the time."""

    ok: int
    failed: int


def clients_of(scene: Scene, service: Service) -> tuple[dict[int, Clients], Clients]:
    """Return what is true of a service by the start of each interval, ms, and over the whole time.

    A client failed in an interval if it tried and had no success in the interval or its neighbours; over the whole time
    if it never succeeded. Scanners count where they found the service, never as failed.
    """
    all_ = scene.conversations
    ours = (all_["dst"] == service.address) & (all_["dport"] == service.port) & (all_["protocol"] == service.protocol)
    succeeded, tried = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set)
    for row in all_[ours & (all_["label"] != Label.OWN)]:
        start_ms = int(row["start_ms"])
        times_ms = (
            [start_ms] if row["answer"] in (Answer.NONE, Answer.ERROR) else [start_ms, start_ms + int(row["delay_ms"])]
        )
        if row["answer"] == Answer.REPLY:
            which = succeeded
        elif row["label"] == Label.SCAN:
            continue
        else:
            which = tried
        for time_ms in times_ms:
            which[time_ms // INTERVAL_MS].add(int(row["src"]))
    intervals = {}
    for number in sorted(succeeded.keys() | tried.keys()):
        near = _union(succeeded.get(number + step, ()) for step in (-1, 0, 1))
        intervals[number * INTERVAL_MS] = Clients(len(succeeded[number]), len(tried[number] - near))
    ever = _union(succeeded.values())
    return intervals, Clients(len(ever), len(_union(tried.values()) - ever))


def _union(sets: Iterable[Iterable[int]]) -> set[int]:
    return set().union(*sets)


def truth_document(scene: Scene) -> dict[str, Any]:
    """Return what is true of a scene as JSON: services by interval, and the outages of whole services."""
    services, outages = [], []
    for service in scene.network.services:
        intervals, whole = clients_of(scene, service)
        name = service_name(service)
        services.append(
            {
                "service": name,
                "clients_ok": whole.ok,
                "clients_failed": whole.failed,
                "intervals": [
                    {
                        "start": _utc(start_ms),
                        "clients_ok": clients.ok,
                        "clients_failed": clients.failed,
                    }
                    for start_ms, clients in intervals.items()
                ],
            }
        )
        outages += [
            {
                "service": name,
                "start": _utc(outage.first_ms),
                "end": _utc(outage.end_ms),
                "share": outage.share,
            }
            for outage in service.outages
        ]
    return {
        "schema": 1,
        "seed": scene.seed,
        "local": [LOCAL_PREFIX],
        "own_probes": [format_address(OWN_PROBER)],
        "interval": "10m",
        "conversations": len(scene.conversations),
        "services": services,
        "outages": outages,
    }


def service_name(service: Service) -> str:
    """Return the name of a service as reports write it: ``198.51.100.80/tcp/443``."""
    return f"{format_address(service.address)}/{_PROTOCOLS[service.protocol]}/{service.port}"


def whole_outages(scene: Scene) -> list[tuple[Service, Outage]]:
    """Return the outages that concern every client of their service."""
    return [(service, outage) for service in scene.network.services for outage in service.outages if outage.share == 1]


def _utc(time_ms: int) -> str:
    return utc_brief(time_ms * _NS_PER_MS)
