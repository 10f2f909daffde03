"""What happens to networks at which time: listed events to the nanosecond, drawn ones by their shares."""

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.lab.model.change.answers import PROHIBITED, late_by_ns, wakes_in_ns
from liveness.lab.model.change.networks import OUT, UP, network_state
from liveness.lab.model.population.answer import AT_TIME
from liveness.lab.model.population.load import Population, parse_population
from liveness.space.addresses import format_address
from tests.lab.model.change.support import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    POPULATION,
    SECOND_NS,
    STARTS_NS,
    answers,
    blocks,
    changing,
    up,
)
from tests.lab.model.population.support import whole

AT_NS = STARTS_NS + 26 * HOUR_NS


def still() -> Population:
    return parse_population(POPULATION, "still.yaml")


def prefixes(count: int = 3) -> tuple[list[str], list[NDArray[np.uint32]]]:
    """Return some /24s in use whose neighbours are in use, as text and as addresses."""
    chosen = blocks(still(), 60)[:count]
    return [f"{format_address(int(number) << 8)}/24" for number in chosen], [
        whole(chosen[i : i + 1]) for i in range(count)
    ]


def test_a_listed_outage_begins_and_ends_to_the_nanosecond() -> None:
    (name, *_), (inside, outside, _) = prefixes()
    population = changing(f"{{events: [{{kind: outage, prefix: {name}, at: 26h, length: 2h}}]}}")
    usual = answers(still(), inside, 0)
    assert usual.any()
    for at_ns, silent in (
        (AT_NS - 1, False),
        (AT_NS, True),
        (AT_NS + 2 * HOUR_NS - 1, True),
        (AT_NS + 2 * HOUR_NS, False),
    ):
        assert (answers(population, inside, at_ns) == (0 if silent else usual)).all()
        assert (answers(population, outside, at_ns) == answers(still(), outside, 0)).all()


def test_birth_death_and_a_firewall() -> None:
    (born, dies, walled), networks = prefixes()
    population = changing(
        f"{{events: [{{kind: born, prefix: {born}, at: 26h}}, {{kind: dies, prefix: {dies}, at: 26h}},"
        f" {{kind: firewall, prefix: {walled}, at: 26h, length: 1h}}]}}"
    )
    usual = [answers(still(), network, 0) for network in networks]
    before = [answers(population, network, AT_NS - 1) for network in networks]
    after = [answers(population, network, AT_NS) for network in networks]
    assert not before[0].any()
    assert (after[0] == usual[0]).all()
    assert (before[1] == usual[1]).all()
    assert not after[1].any()
    assert (before[2] == usual[2]).all()
    assert (after[2] == PROHIBITED).all()
    assert (PROHIBITED & 0xF, PROHIBITED >> 8 & 0xFF, PROHIBITED >> 16 & 0xFF) == (4, 3, 13)
    assert (answers(population, networks[2], AT_NS + HOUR_NS) == usual[2]).all()


def test_hosts_that_are_renumbered_keep_their_last_octets() -> None:
    (old, new, _), (at_first, later, _) = prefixes()
    population = changing(f"{{events: [{{kind: renumbered, prefix: {old}, to: {new}, at: 26h}}]}}")
    usual = answers(still(), at_first, 0, "tcp/80")
    assert (answers(population, at_first, AT_NS - 1, "tcp/80") == usual).all()
    assert not answers(population, later, AT_NS - 1, "tcp/80").any()
    assert not answers(population, at_first, AT_NS, "tcp/80").any()
    assert (answers(population, later, AT_NS, "tcp/80") == usual).all()


def test_drawn_outages_have_their_share_and_their_lengths() -> None:
    population = changing("{outages: {share: 0.02, shortest: 1h, longest: 4h, prefix: 22}}")
    at = int(population.tables[AT_TIME])
    step_ns, steps = 5 * MINUTE_NS, 24 * 12 * 40
    down = 0
    lengths = []
    for number in range(60):
        address = 0x2E000000 + (number << 10)
        states = np.array(
            [network_state(population.tables, at, address, STARTS_NS + step * step_ns) for step in range(steps)]
        )
        assert set(states.tolist()) <= {UP, OUT}
        down += int((states == OUT).sum())
        edges = np.flatnonzero(np.diff(np.concatenate(([UP], states, [UP])) == OUT))
        spans = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        lengths += [end - begin for begin, end in spans if begin > 0 and end < steps]  # seen whole
        for other in (address + 256, address + 1023):  # the whole prefix
            assert (
                network_state(population.tables, at, other, STARTS_NS + int(states.argmax()) * step_ns) == states.max()
            )
    assert down / (60 * steps) == pytest.approx(0.02, abs=0.003)
    assert min(lengths) >= 11
    assert max(lengths) <= 49
    assert np.mean(lengths) == pytest.approx(30, abs=2)


def test_drawn_fates_have_their_shares_and_happen_once() -> None:
    population = changing("{fates: {within: 240h, born: 0.1, dies: 0.1, firewalled: 0.1, renumbered: 0.1}}")
    chosen = blocks(population, 1500)
    addresses = whole(chosen)
    usual = answers(still(), addresses, 0).reshape(len(chosen), 256)

    def looks(at_ns: int) -> dict[str, NDArray[np.bool_]]:
        now = answers(population, addresses, at_ns).reshape(len(chosen), 256)
        return {
            "silent": ~now.any(axis=1),
            "walled": (now == PROHIBITED).all(axis=1),
            "usual": (now == usual).all(axis=1) & now.any(axis=1),
        }

    first, middle, last = looks(STARTS_NS), looks(STARTS_NS + 5 * DAY_NS), looks(STARTS_NS + 10 * DAY_NS)
    born = first["silent"] & last["usual"]
    dies = first["usual"] & last["silent"]
    walled = first["usual"] & last["walled"]
    # A pair of /24s is renumbered with a share of 0.1: the lower one falls silent, the upper one answers later.
    assert walled.mean() == pytest.approx(0.09, abs=0.025)
    assert born.mean() == pytest.approx(0.09, abs=0.03)
    assert dies.mean() == pytest.approx(0.14, abs=0.03)
    assert (walled & middle["walled"]).sum() / walled.sum() == pytest.approx(0.5, abs=0.12)
    assert (born & middle["usual"]).sum() / born.sum() == pytest.approx(0.5, abs=0.12)


def test_pairs_are_renumbered_whole() -> None:
    population = changing("{fates: {within: 240h, renumbered: 1}}")
    lower = blocks(population, 200) & ~np.uint32(1)
    moved = 0
    for number in lower[:40].tolist():
        low, high = whole(np.array([number], np.uint32)), whole(np.array([number + 1], np.uint32))
        usual = answers(still(), low, 0)
        for day in range(11):
            here, there = (answers(population, part, STARTS_NS + day * DAY_NS) for part in (low, high))
            assert not (here.any() and there.any())
            assert (np.where(here, here, there) == usual).all()
            moved += int(day == 5 and there.any() and not here.any())
    assert 8 < moved < 32


def test_late_replies_are_of_some_hosts_and_mostly_short() -> None:
    population = changing("{late: {hosts: 0.2, replies: 0.5, up_to: 10m}}")
    addresses = whole(blocks(population, 8))
    delays = np.array(
        [
            [late_by_ns(population.tables, address, STARTS_NS + index * 11 * MINUTE_NS) for index in range(40)]
            for address in addresses.tolist()
        ]
    )
    late_hosts = delays.any(axis=1)
    assert late_hosts.mean() == pytest.approx(0.2, abs=0.03)
    chosen = delays[late_hosts]
    assert (chosen > 0).mean() == pytest.approx(0.5, abs=0.02)
    assert 9 * MINUTE_NS < chosen.max() <= 10 * MINUTE_NS
    assert np.median(chosen[chosen > 0]) == pytest.approx(10 * MINUTE_NS / 8, rel=0.1)


def test_hosts_wake_up_after_they_were_left_alone() -> None:
    population = changing("{slow_first: {hosts: 0.3, idle: 5m, up_to: 4s}}")
    addresses = whole(blocks(population, 8)).tolist()
    slow = np.array([wakes_in_ns(population.tables, address, 5 * MINUTE_NS + 1) for address in addresses])
    assert (slow > 0).mean() == pytest.approx(0.3, abs=0.03)
    assert 3 * SECOND_NS < slow.max() <= 4 * SECOND_NS
    assert not any(wakes_in_ns(population.tables, address, 5 * MINUTE_NS) for address in addresses)


def test_only_a_network_in_use_meets_its_firewall() -> None:
    text = POPULATION.replace("in_use: [[1, 1]]", "in_use: [[0.5, 1]]")
    population = parse_population(
        f"{text}time: {{events: [{{kind: firewall, prefix: 46.0.0.0/16, at: 0h}}]}}\n", "half"
    )
    addresses = np.arange(0x2E000000, 0x2E010000, 256, dtype=np.uint32)
    found = answers(population, addresses, STARTS_NS)
    assert (found == PROHIBITED).mean() == pytest.approx(0.5, abs=0.01)
    assert set(found.tolist()) == {0, PROHIBITED}
    assert not up(population, addresses, STARTS_NS).any()
