"""95 % intervals of the estimates over simulated runs: the visibility of a known population is drawn by origin."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.scope import WHOLE, Scope
from liveness.replies import Kind
from tests.analysis.origins.support import Scan, compared

RUNS = 200
LEAST, MOST = 180, 198
"""90 to 99 % of the runs."""
HOSTS = 6_000
NETWORKS = 40
HOST = np.arange(HOSTS)
ADDRESSES = (0x0A000000 + HOST * 7).astype(np.uint32)
NETWORK = (HOST * NETWORKS // HOSTS).astype(np.int64)
"""The autonomous system of each host."""
FIRST = [ADDRESSES[number == NETWORK][0] for number in range(NETWORKS)]
BY_NETWORK = Partition(
    "asn",
    np.array([0, *FIRST], np.uint32),
    np.arange(NETWORKS + 1, dtype=np.int32),
    [None, *map(str, range(NETWORKS))],
)


def visible(random: np.random.Generator, chances: NDArray[np.float64]) -> list[NDArray[np.uint32]]:
    """Draw which hosts each origin sees; chances[v] are those of origin v by host."""
    return [ADDRESSES[random.random(HOSTS) < chance] for chance in chances]


def covered(chances: NDArray[np.float64], seed: int, scope: Scope = WHOLE) -> dict[str, int]:
    """Count the runs whose intervals contain the number of hosts, by estimate."""
    found: dict[str, int] = {}
    for run in range(RUNS):
        random = np.random.default_rng([seed, run])
        seen = visible(random, chances)
        scans = [
            Scan(f"place{place}", {("tcp/80", Kind.SYN_ACK): addresses.tolist()}, second=place, probes=["tcp/80"])
            for place, addresses in enumerate(seen)
        ]
        entry = compared(scans, scope).document()["estimates"][1]
        assert (entry["probe"], entry["kind"]) == ("tcp/80", "syn-ack")
        estimates = {" ".join(pair["vantages"]): pair for pair in entry["chapman"]} | {"all": entry["chao"]}
        for name, estimate in estimates.items():
            # In a slice without estimate only what was seen counts.
            truth = HOSTS - (_unseen_in_blocked(seen, estimate["vantages"]) if scope.partition else 0)
            found[name] = found.get(name, 0) + (estimate["low"] <= truth <= estimate["high"])
    return found


def _unseen_in_blocked(seen: list[NDArray[np.uint32]], vantages: list[str]) -> int:
    """Return the number of hosts that none of these saw in networks that show nothing to one of them."""
    places = [int(name.removeprefix("place")) for name in vantages]
    at = [np.isin(ADDRESSES, seen[place]) for place in places]
    found = np.array([np.bincount(NETWORK[each], minlength=NETWORKS) for each in at])
    together = np.bincount(NETWORK[np.any(at, axis=0)], minlength=NETWORKS)
    blocked = (found == 0).any(axis=0) & (together >= 10)
    return int(np.sum(blocked[NETWORK] & ~np.any(at, axis=0)))


@pytest.mark.slow
def test_intervals_of_independent_misses_cover_the_truth() -> None:
    """Every origin has a chance of its own; some twenty hosts are missed by all."""
    chances = np.repeat([[0.9], [0.85], [0.75]], HOSTS, axis=1)
    found = covered(chances, 1)
    assert set(found) == {"all", *(f"place{one} place{other}" for one, other in combinations(range(3), 2))}
    assert all(LEAST <= number <= MOST for number in found.values()), found


@pytest.mark.slow
def test_intervals_of_a_few_hosts_cover_the_truth() -> None:
    """Whole numbers of two or three missed hosts cannot be covered in 95 % of runs exactly, but in no fewer."""
    found = covered(np.repeat([[0.97], [0.92], [0.82]], HOSTS, axis=1), 3)
    assert all(number >= LEAST for number in found.values()), found


@pytest.mark.slow
def test_intervals_by_network_cover_the_truth_where_networks_differ_and_block() -> None:
    """Networks lose more or less, for all origins alike: over all hosts together misses are correlated."""
    random = np.random.default_rng(7)
    of_network = random.uniform(0.5, 0.99, NETWORKS)
    chances = np.array([of_network[NETWORK], of_network[NETWORK] ** 1.5, of_network[NETWORK] ** 0.5])
    chances[0, NETWORK % 10 == 3] = 0.0  # these networks block the first origin
    found = covered(chances, 2, Scope(partition=BY_NETWORK))
    assert all(LEAST <= number <= MOST for number in found.values()), found
    # Without networks the estimate is too low, which is why they are wanted.
    assert covered(chances, 2)["place1 place2"] < LEAST
