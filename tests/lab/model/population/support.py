"""A small population in which everything happens often, addresses of /24s, and truth in plain Python."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.population.answer import (
    ANSWERED,
    BOTH,
    ERROR,
    FROM_ROUTER,
    PAYLOAD,
    PROBES,
    RESET,
    SILENT,
    answer_of,
    router_of,
)
from liveness.lab.model.population.load import Population, parse_population
from liveness.replies import Kind, ReplyKey, Role, SetKey

SMALL = """
name: small
seed: 5
slash8s:
  - {name: full, share: 0.5, in_use: [[1, 1]]}
  - {name: half, share: 0.5, in_use: [[0, 0.25], [0.5, 0.75]]}
sites:
  - {name: town, share: 0.6, hosts: [[20, 0.5], [200, 0.5]], gateways: 0.5, favours: {web: 3}}
  - {name: quiet, share: 0.3, hosts: [[30, 1]], families: [icmp]}
  - {name: empty, share: 0.1, hosts: [[0, 1]], gateways: 1}
gateways:
  last_host: 0.5
  routers:
    - {name: quiet, weight: 1, answers: ". . . . . . . . ."}
    - {name: talking, weight: 1, answers: "echo rst rst . . 3/1 3/3 answer rst"}
  gaps:
    - {weight: 1, answers: "3/13 3/13 3/13 . 3/1 3/1 3/13 11/0 3/13"}
    - {weight: 1, answers: "3/1 3/1 3/1 3/1 3/1 3/1 3/1 3/1 3/1"}
tarpits:
  prefix: 30
  share: 0.05
  answers:
    - {weight: 3, answers: "echo syn-ack syn-ack syn-ack syn-ack syn-ack . . syn-ack"}
    - {weight: 1, answers: ". syn-ack syn-ack syn-ack syn-ack syn-ack . . rst"}
profiles:
  - {name: ping, kind: client, weight: 50, answers: "echo . . . . . . . ."}
  - {name: web, kind: web, weight: 25, no_echo: 0.4, answers: "echo rst rst both syn-ack . 3/3 payload rst"}
  - {name: names, kind: server, weight: 15, answers: ". . . . . . answer . ."}
  - {name: wall, kind: wall, weight: 10, answers: "3/10 3/10 3/10 3/10 3/10 3/10 3/10 4/0 3/10"}
"""


def small() -> Population:
    return parse_population(SMALL, "small.yaml")


def whole(prefixes24: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return all addresses of /24s given by number."""
    addresses: NDArray[np.uint32] = np.add.outer(prefixes24 << np.uint32(8), np.arange(256, dtype=np.uint32)).ravel()
    return addresses


def sets_by_hand(
    population: Population, addresses: NDArray[np.uint32], probes: tuple[str, ...] = PROBES
) -> dict[SetKey, set[int]]:
    """Ask every address every probe and write down what comes back, one answer at a time."""
    sets: defaultdict[SetKey, set[int]] = defaultdict(set)
    for address in addresses.tolist():
        for probe in probes:
            number = PROBES.index(probe) if probe in PROBES else 8
            answer = int(answer_of(population.tables, address, number))
            what = answer & 0xF
            if what == SILENT:
                continue
            source = int(router_of(population.tables, address)) if answer & FROM_ROUTER else address
            tcp = probe.startswith("tcp/")
            positive = Kind.ECHO_REPLY if probe == "icmp" else Kind.SYN_ACK if tcp else Kind.ANSWER
            kinds = {
                ANSWERED: [positive],
                RESET: [Kind.RST],
                PAYLOAD: [Kind.PAYLOAD],
                ERROR: [Kind.ERROR],
                BOTH: [Kind.SYN_ACK, Kind.RST],
            }[what]
            for kind in kinds:
                code = (answer >> 8 & 255, answer >> 16 & 255) if kind is Kind.ERROR else (None, None)
                key = ReplyKey(probe, kind, *code)
                sets[SetKey(key, Role.SOURCE)].add(source)
                sets[SetKey(key, Role.TARGET)].add(address)
                if kind in (Kind.ERROR, Kind.ECHO_REPLY) and source == address:
                    sets[SetKey(key, Role.DIRECT)].add(address)
    return dict(sets)
