"""Populations that change with time, and their answers: one probe, many addresses, any time."""

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.change.answers import answers_at
from liveness.lab.model.population.answer import PROBES, kind_of
from liveness.lab.model.population.load import Population, parse_population
from liveness.lab.model.population.sample import public_space, sample24

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
STARTS_NS = 1_796_601_600 * SECOND_NS
"""2026-12-07T00:00:00Z, a Monday: the default."""

POPULATION = """
name: changing
seed: 5
slash8s:
  - {name: full, share: 1, in_use: [[1, 1]]}
sites:
  - {name: town, share: 0.7, hosts: [[150, 1]]}
  - {name: village, share: 0.3, hosts: [[60, 1]], gateways: 0.5}
gateways:
  last_host: 0.5
  routers:
    - {name: router, weight: 1, answers: "echo rst rst . . 3/1 3/3 answer rst"}
  gaps:
    - {weight: 1, answers: "3/1 3/1 3/1 3/1 3/1 3/1 3/1 3/1 3/1"}
tarpits:
  prefix: 30
  share: 0
  answers:
    - {weight: 1, answers: "echo syn-ack syn-ack syn-ack syn-ack syn-ack . . syn-ack"}
profiles:
  - {name: host, kind: client, weight: 8, answers: "echo rst . syn-ack both . answer payload ."}
  - {name: deaf, kind: client, weight: 2, answers: ". 3/13 . syn-ack . . 3/3 answer ."}
"""


def changing(time: str) -> Population:
    """Return a small population with this `time` section, in YAML's flow style."""
    return parse_population(f"{POPULATION}time: {time}\n", "changing.yaml")


def blocks(population: Population, count: int, seed: int = 3) -> NDArray[np.uint32]:
    """Return some /24s in use (address >> 8), ascending."""
    chosen = sample24(public_space(), count, seed)
    return chosen[[kind_of(population.tables, int(number)) >= 0 for number in chosen]]


def answers(
    population: Population, addresses: NDArray[np.uint32], at_ns: int, probe: str = "icmp"
) -> NDArray[np.int64]:
    """Return the packed answers of addresses to a probe at one time."""
    out = np.zeros(len(addresses), np.int64)
    times_ns = np.full(len(addresses), at_ns, np.int64)
    answers_at(population.tables, addresses, PROBES.index(probe), times_ns, out)
    return out


def up(population: Population, addresses: NDArray[np.uint32], at_ns: int) -> NDArray[np.bool_]:
    """Return which addresses send an echo reply at one time."""
    found: NDArray[np.bool_] = answers(population, addresses, at_ns) & 0xF == 1
    return found
