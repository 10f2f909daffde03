"""Hosts that come and go, judged by properties of what they are described to do: hours, slots, leases."""

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.lab.model.population.answer import routers_of
from liveness.lab.model.population.load import Population, parse_population
from tests.lab.model.change.support import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    POPULATION,
    STARTS_NS,
    answers,
    blocks,
    changing,
    up,
)
from tests.lab.model.population.support import whole


def series(
    population: Population, addresses: NDArray[np.uint32], step_ns: int, count: int, start_ns: int = STARTS_NS
) -> NDArray[np.bool_]:
    """Return which addresses are up: (addresses, times)."""
    return np.stack([up(population, addresses, start_ns + step * step_ns) for step in range(count)], axis=1)


def hosts_of(population: Population, addresses: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return which addresses are hosts that answer echo requests, in the same population without change."""
    still = parse_population(POPULATION, "still.yaml")
    assert population.seed == still.seed
    routers_of(still.tables, addresses, routers := np.empty_like(addresses))  # they never change
    hosts: NDArray[np.bool_] = up(still, addresses, STARTS_NS) & (addresses != routers)
    return hosts


def test_without_a_section_nothing_changes() -> None:
    still, empty = parse_population(POPULATION, "still.yaml"), changing("{}")
    addresses = whole(blocks(still, 60))
    before = answers(still, addresses, 0)
    for at_ns in (0, STARTS_NS, STARTS_NS + 100 * DAY_NS):
        assert (answers(still, addresses, at_ns) == before).all()
        assert (answers(empty, addresses, at_ns) == before).all()


def test_offices_keep_their_hours_on_weekdays_by_the_zone_of_their_slash16() -> None:
    population = changing("{zones: [-8, 0, 9], behaviours: [{name: offices, kind: diurnal}]}")
    chosen = blocks(population, 40)
    addresses = whole(chosen)
    found = series(population, addresses, HOUR_NS, 15 * 24)
    hosts = hosts_of(population, addresses)
    assert hosts.sum() > 3000
    zones: dict[int, set[int]] = {}
    for address, row in zip(addresses[hosts].tolist(), found[hosts], strict=True):
        # The hours in UTC of which each zone would have to be the cause; one zone fits, for a whole /16.
        fits = set()
        for zone in (-8, 0, 9):
            local = np.arange(15 * 24) + zone
            expected = (local % 24 >= 8) & (local % 24 < 18) & (local // 24 % 7 < 5)
            if (row == expected).all():
                fits.add(zone)
        zones.setdefault(address >> 16, set()).update(fits)
        assert len(fits) == 1
    assert all(len(fits) == 1 for fits in zones.values())
    assert set.union(*zones.values()) == {-8, 0, 9}


def test_hours_may_pass_midnight() -> None:
    population = changing(
        "{behaviours: [{name: bars, kind: diurnal, begins: 22h, ends: 4h, days: [fri]}]}"  # Friday night
    )
    addresses = whole(blocks(population, 10))
    found = series(population, addresses, HOUR_NS, 14 * 24)
    hours = np.flatnonzero(found[hosts_of(population, addresses)].any(axis=0))
    friday = 4 * 24
    assert hours.tolist() == [week + friday + hour for week in (0, 7 * 24) for hour in range(22, 28)]


def test_jitter_is_a_host_s_own_and_at_most_what_is_said() -> None:
    population = changing("{behaviours: [{name: offices, kind: diurnal, jitter: 90m}]}")
    addresses = whole(blocks(population, 6))
    found = series(population, addresses, 5 * MINUTE_NS, 3 * 288)[hosts_of(population, addresses)]
    first = np.array([row.argmax() for row in found[:, :288]])
    for day in range(1, 3):
        assert (np.array([row.argmax() for row in found[:, day * 288 : (day + 1) * 288]]) == first).all()
    assert first.min() >= (8 * 60 - 90) / 5
    assert first.max() <= (8 * 60 + 90) / 5 + 1
    assert first.max() - first.min() > 20
    last = np.array([288 - row[::-1].argmax() for row in found[:, :288]])
    assert (18 * 60 - 90) / 5 <= last.min() < last.max() <= (18 * 60 + 90) / 5 + 1
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.2


def test_some_hosts_stay_away_for_a_day_and_some_never_leave() -> None:
    population = changing("{behaviours: [{name: offices, kind: diurnal, present: 0.8, always_on: 0.25}]}")
    addresses = whole(blocks(population, 40))
    hosts = hosts_of(population, addresses)
    night = series(population, addresses, DAY_NS, 10, STARTS_NS + 3 * HOUR_NS)[hosts]
    noon = series(population, addresses, DAY_NS, 5, STARTS_NS + 12 * HOUR_NS)[hosts]
    assert (night.all(axis=1) == night.any(axis=1)).all()
    always = night.all(axis=1)
    assert always.mean() == pytest.approx(0.25, abs=0.03)
    assert noon[always].all()
    assert noon[~always].mean() == pytest.approx(0.8, abs=0.02)
    each_day = noon[~always].sum(axis=1)
    binomial = [0.2**5, 5 * 0.8 * 0.2**4, 10 * 0.8**2 * 0.2**3, 10 * 0.8**3 * 0.2**2, 5 * 0.8**4 * 0.2, 0.8**5]
    assert np.bincount(each_day, minlength=6) / len(each_day) == pytest.approx(binomial, abs=0.04)


def test_sessions_end_and_begin_at_slots_of_the_host() -> None:
    population = changing("{behaviours: [{name: homes, kind: sessions, slot: 2h, up: 0.7}]}")
    addresses = whole(blocks(population, 12))
    hosts = hosts_of(population, addresses)
    found = series(population, addresses, 10 * MINUTE_NS, 10 * 144)
    assert found[hosts].mean() == pytest.approx(0.7, abs=0.01)
    phases = set()
    for row in found[hosts]:
        changes = set((np.flatnonzero(np.diff(row.astype(int))) % 12).tolist())
        assert len(changes) == 1
        phases |= changes
    assert phases == set(range(12))
    # Slots are independent: after an up slot the next one is up with the same probability.
    slots = found[hosts][:, ::12]
    assert slots[:, 1:][slots[:, :-1]].mean() == pytest.approx(0.7, abs=0.02)


def test_a_pool_gives_its_hosts_other_addresses_at_the_end_of_a_lease() -> None:
    population = changing("{behaviours: [{name: pools, kind: pool, lease: 24h}]}")
    chosen = blocks(population, 40)
    addresses = whole(chosen)
    times = 4 * 24
    rows = np.stack(
        [answers(population, addresses, STARTS_NS + hour * HOUR_NS, "tcp/22") for hour in range(times)], axis=1
    ).reshape(len(chosen), 256, times)
    phases = set()
    for block in rows:
        before = np.sort(block[:, 0])
        changes = [hour for hour in range(1, times) if (block[:, hour] != block[:, hour - 1]).any()]
        assert len(changes) in (3, 4)
        assert set(np.diff(changes).tolist()) == {24}
        phases.add(changes[0] % 24)
        if (before >> 24).any():  # a gateway keeps its address, and takes that of a host
            continue
        for hour in changes:
            assert (np.sort(block[:, hour]) == before).all()
            assert (block[:, hour] != block[:, hour - 1]).mean() > 0.2
    assert len(phases) > 10


def test_behaviours_follow_sites_and_weights() -> None:
    population = changing(
        "{behaviours: [{name: off, kind: sessions, up: 0, weight: 1, sites: [town]},"
        " {name: on, kind: always, weight: 3, sites: [town]}]}"
    )
    chosen = blocks(population, 600)
    addresses = whole(chosen)
    hosts = hosts_of(population, addresses).reshape(len(chosen), 256)
    now = up(population, addresses, STARTS_NS).reshape(len(chosen), 256) & hosts
    silent = np.logical_and(hosts.any(axis=1), ~now.any(axis=1))
    whole_again: NDArray[np.bool_] = (hosts == now).all(axis=1)
    assert (silent | whole_again).all()
    towns = hosts.sum(axis=1) > 90
    assert silent[towns].mean() == pytest.approx(0.25, abs=0.06)
    assert whole_again[~towns].all()
