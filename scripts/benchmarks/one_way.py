"""Traffic of a network's border for the passive instrument: two thirds in both directions, one third scanning."""

from typing import Final

import numpy as np

from liveness.flows.record import Flows, empty
from liveness.passive.aggregate import parts_for
from liveness.passive.config import Config
from liveness.passive.engine import Engine, run_all
from liveness.passive.gates import Gates
from liveness.passive.records import Observations

NETWORK: Final = 10 << 24
INTERVALS: Final = 3
EPOCH_S: Final = 1_700_000_400
_REMOTES: Final = 200_000
CONFIG: Final = Config(name="bench", local=("10.0.0.0/16",))


def draw(records: int) -> list[tuple[int, Observations]]:
    """Return the observations of three intervals, `records` together."""
    random = np.random.default_rng(1)
    remotes = draw_remotes(random)
    gates = Gates.of(CONFIG.local_space, CONFIG.own_space, CONFIG.exclude)
    found = []
    for number in range(INTERVALS):
        flows = draw_interval(random, remotes, records // INTERVALS, (EPOCH_S + 600 * number) * 10**9)
        found.append((EPOCH_S // 600 + number, gates.passing(flows, np.array([1], np.uint32))))
    return found


def draw_remotes(random: np.random.Generator) -> np.ndarray:
    """Return the remote addresses."""
    return random.integers(11 << 24, 200 << 24, _REMOTES)


def draw_interval(
    random: np.random.Generator, remotes: np.ndarray, count: int, start_ns: int, servers: int = 0
) -> Flows:
    """Return the flow records of ten minutes that begin at `start_ns`.

    Connections go to the first `servers` local addresses, or to any local address if it is 0.
    """
    flows = empty(count)
    flows["dst"] = NETWORK + random.integers(0, 1 << 16, count)
    flows["src"] = remotes[(random.random(count) ** 2 * len(remotes)).astype(np.int64)]
    flows["sport"] = random.integers(1024, 1 << 16, count)
    flows["dport"] = random.choice(np.array([80, 443, 22, 23, 25, 53, 8080, 445]), count)
    flows["protocol"] = np.where(random.random(count) < 0.7, 6, 17)  # noqa: PLR2004 - a share
    flows["flags"] = np.where(flows["protocol"] == 6, 2, 0)  # noqa: PLR2004 - TCP
    flows["packets"] = random.integers(1, 20, count)
    flows["bytes"] = flows["packets"] * 100
    flows["start_ns"] = start_ns + random.integers(0, 600_000, count) * 1_000_000
    third = count // 3
    if servers:
        flows["dst"][:third] = NETWORK + random.integers(0, servers, third)
    there, back = slice(0, third), slice(third, 2 * third)
    flows[back] = flows[there]
    for source, destination in (("src", "dst"), ("sport", "dport")):
        flows[source][back], flows[destination][back] = flows[destination][there], flows[source][there]
    flows["flags"][: 2 * third] *= 13  # a whole connection, whatever it is
    flows["start_ns"][back] += 1_000_000
    flows["end_ns"] = flows["start_ns"] + 10**9
    return flows[random.permutation(count)]


def classify(intervals: list[tuple[int, Observations]]) -> int:
    """Pair, sign and classify; return how many observations there were."""
    engine = Engine(CONFIG, parts_for(max(len(observations) for _, observations in intervals)), None)
    try:
        for _ in run_all(engine, [(number, [observations]) for number, observations in intervals], several=False):
            pass
    finally:
        engine.close()
    return sum(len(observations) for _, observations in intervals)
