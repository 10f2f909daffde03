"""What a place does not see follows from seed, place, address and run, in the shares of the file."""

import math
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.kernel import COMPILED
from liveness.lab.model.origin.hidden import EVERYWHERE, is_hidden
from liveness.lab.model.origin.view import View
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.load import parse_population
from liveness.lab.model.population.truth import truth
from liveness.lab.model.responder import state
from liveness.lab.model.responder.queue import forget
from liveness.replies import Role
from tests.lab.model.origin.support import PLACES, VANTAGES, several
from tests.lab.model.population.support import SMALL
from tests.lab.model.responder.support import FarEnd, probe_frame

COUNT = 1 << 16 if COMPILED else 1 << 11
ICMP, SSH = PROBES.index("icmp"), PROBES.index("tcp/22")


def spread(count: int = COUNT, step: int = 40_009) -> NDArray[np.uint32]:
    """Return addresses all over IPv4, ascending."""
    return np.sort((np.arange(count, dtype=np.uint64) * step % (1 << 32)).astype(np.uint32))


def text_of(places: str, **fields: object) -> str:
    lines = "".join(f"  {name}: {value}\n" for name, value in fields.items())
    return f"{SMALL}\nvantages:\n{lines}  places: {places}\n"


def shares(hidden: NDArray[np.bool_], expected: float) -> bool:
    """Return whether a share is within six standard deviations of what was drawn."""
    return abs(float(hidden.mean()) - expected) < 6 * math.sqrt(expected * (1 - expected) / len(hidden))


def test_an_exclusive_address_is_seen_from_one_place() -> None:
    population = parse_population(text_of("[{name: a}, {name: b}, {name: c}]", exclusive=0.1), "x")
    addresses = spread()
    seen = np.array([~View(place, 0).hidden(population.tables, addresses, ICMP) for place in range(3)])
    by_count = Counter(seen.sum(axis=0).tolist())
    assert set(by_count) == {1, 3}
    assert shares(seen.sum(axis=0) == 1, 0.1)
    assert all(shares(seen[place, seen.sum(axis=0) == 1], 1 / 3) for place in range(3))


def test_a_blocking_network_blocks_all_its_addresses() -> None:
    population = parse_population(text_of("[{name: a, blocked: [{prefix: 20, share: 0.3}]}, {name: b}]"), "x")
    prefixes = np.sort(spread(COUNT // 64) >> np.uint32(12) << np.uint32(12))
    addresses = (prefixes[:, None] + np.arange(0, 4096, 64, dtype=np.uint32)).ravel()
    hidden = View(0, 0).hidden(population.tables, addresses, ICMP).reshape(len(prefixes), -1)
    assert set(hidden.mean(axis=1).tolist()) == {0.0, 1.0}
    assert shares(np.asarray(hidden[:, 0]), 0.3)
    assert not View(1, 0).hidden(population.tables, addresses, ICMP).any()


def test_networks_can_be_named() -> None:
    population = parse_population(text_of("[{name: a, networks: [10.0.0.0/30, 10.0.1.7/32]}]"), "x")
    base = 10 << 24
    addresses = np.arange(base, base + 512, dtype=np.uint32)
    hidden = View(0, 0).hidden(population.tables, addresses, ICMP)
    assert np.flatnonzero(hidden).tolist() == [0, 1, 2, 3, 256 + 7]


def test_places_draw_for_themselves() -> None:
    """Also two lengths of prefixes of one place."""
    both = "[{name: a, blocked: [{prefix: 24, share: 0.3}]}, {name: b, blocked: [{prefix: 24, share: 0.3}]}]"
    population = parse_population(text_of(both), "x")
    first, second = (View(place, 0).hidden(population.tables, spread(), ICMP) for place in range(2))
    assert shares(np.logical_and(first, second), 0.09)


def test_an_unreliable_host_misses_some_runs_of_some_probes() -> None:
    unreliable = "{probes: [tcp/22], hosts: 0.5, missed: 0.4}"
    population = parse_population(text_of("[{name: a}, {name: b}]", unreliable=unreliable), "x")
    addresses = spread()
    runs = np.array([View(0, run).hidden(population.tables, addresses, SSH) for run in range(8)])
    assert all(shares(run, 0.2) for run in runs)
    assert shares(np.logical_or.reduce(runs), 0.5 * (1 - 0.6**8))
    assert shares(View(1, 0).hidden(population.tables, addresses, SSH) & runs[0], 0.5 * 0.4 * 0.4)
    assert not View(0, 0).hidden(population.tables, addresses, ICMP).any()
    again = View(0, 0).hidden(population.tables, addresses[::-1].copy(), SSH)[::-1]
    assert np.array_equal(runs[0], again), "nothing but seed, place, address and run decides"


def test_nothing_is_hidden_from_a_scanner_without_a_place() -> None:
    population = several()
    assert not any(is_hidden(population.tables, EVERYWHERE, 0, int(address), SSH) for address in spread(500))


def answers(far: FarEnd, probe: str, target: int) -> bool:
    """Return whether the far end has anything to send after a probe to an address."""
    far.take(probe_frame(probe, target))
    waiting = int(far.model.numbers[state.WAITING])
    forget(far.model)
    return waiting > 0


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_the_far_end_answers_a_place_as_its_truth_says(place: int) -> None:
    """Address by address, frame by frame: who answers is who is in the sets of the place's truth."""
    population, addresses = several(), spread(600 if COMPILED else 60)
    for run in range(2):
        far = FarEnd(population)
        far.model.settings[[state.PLACE, state.RUN]] = place, run
        sets = truth(population, addresses, ("tcp/22", "icmp"), View(place, run))
        for probe in ("tcp/22", "icmp"):
            members = [found for key, found in sets.items() if key.reply.probe == probe and key.role is Role.TARGET]
            expected = set().union(*map(set, members))
            assert {int(one) for one in addresses if answers(far, probe, int(one))} == expected
    whole = truth(population, addresses, ("icmp",))
    assert sum(map(len, whole.values())) > sum(len(found) for key, found in sets.items() if key.reply.probe == "icmp")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{places: []}", r"\$\.vantages\.places"),
        ("{places: [{name: a}, {name: a}]}", r"\$\.vantages\.places: 'a': two have this name"),
        ("{places: [{name: a/b}]}", r"\$\.vantages\.places\[0\]\.name: 'a/b'"),
        ("{places: [{name: a, networks: [10.0.0.1/8]}]}", r"\$\.vantages\.places\[0\]\.networks\[0\]: '10.0.0.1/8'"),
        ("{places: [{name: a, blocked: [{prefix: 4, share: 1}]}]}", r"prefix: 4"),
        (
            "{places: [{name: a}], unreliable: {probes: [tcp/21], hosts: 1, missed: 1}}",
            r"\$\.vantages\.unreliable\.probes: 'tcp/21'",
        ),
        ("{places: [{name: a, colour: red}]}", r"colour"),
    ],
)
def test_a_wrong_section_is_named(section: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_population(f"{SMALL}\nvantages: {section}\n", "x.yaml")


def test_the_section_changes_no_answer_of_a_lab_of_one_place() -> None:
    addresses = spread(2_000 if COMPILED else 200)
    without = parse_population(SMALL, "x")
    assert truth(several(), addresses, PROBES) == truth(without, addresses, PROBES)
    assert VANTAGES.count("name:") == len(PLACES)
