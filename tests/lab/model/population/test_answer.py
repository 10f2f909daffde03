"""Behaviour follows from seed and address alone, compiled or not, and stays where the address space says."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liveness.kernel import COMPILED, uint64
from liveness.lab.model.population.answer import (
    FROM_ROUTER,
    PROBES,
    active24s,
    answer_of,
    is_active,
    kind_of,
    router_of,
    row_of,
    shuffled,
)
from liveness.lab.model.population.load import Population, load_population
from liveness.lab.model.population.sample import public_space, rows_in, sample24
from liveness.mixing import mix64
from liveness.space.special import special_purpose
from tests.lab.model.population.support import small, whole

REPOSITORY = Path(__file__).parents[4]
SAMPLED = 24


def digest(population: Population) -> str:
    """Return a hash of what some hundred /24s answer, one address and probe at a time and in bulk, and of routers."""
    prefixes = np.concatenate([sample24(public_space(), SAMPLED, 1), np.arange(0x2E0000, 0x2E0010, dtype=np.uint32)])
    addresses = whole(prefixes)
    content = hashlib.sha256(rows_in(population, addresses).tobytes())
    for address in addresses[::37].tolist():
        answers = [int(answer_of(population.tables, address, probe)) for probe in range(len(PROBES))]
        content.update(repr((answers, int(router_of(population.tables, address)))).encode())
    content.update(repr([int(active24s(population.tables, slash16)) for slash16 in range(0, 1 << 16, 999)]).encode())
    return content.hexdigest()


def digests() -> str:
    return f"{digest(load_population())} {digest(small())} {digest(small().reseeded(6))}"


def test_compiled_and_plain_kernels_answer_alike() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1" if COMPILED else "0"}
    command = "from tests.lab.model.population.test_answer import digests; print(digests())"
    other = subprocess.run(
        [sys.executable, "-c", command], check=True, capture_output=True, text=True, cwd=REPOSITORY, env=environment
    )
    ours = digests()
    assert len(set(ours.split())) == 3
    assert other.stdout.split() == ours.split()


def test_a_population_answers_as_it_always_did() -> None:
    # Recorded runs are compared with the population that they name: another answer would be another population.
    rows = rows_in(small(), whole(np.arange(0x2E0000, 0x2E0100, dtype=np.uint32)))
    assert hashlib.sha256(rows.astype("<u2").tobytes()).hexdigest()[:16] == "6487933ea4812405"


def test_another_seed_is_another_address_space_of_the_same_shape() -> None:
    seeded, reseeded = small(), small().reseeded(6)
    addresses = whole(sample24(public_space(), 256, 0))
    first, second = rows_in(seeded, addresses), rows_in(reseeded, addresses)
    assert (first != second).mean() > 0.2
    assert (first > 0).mean() == pytest.approx((second > 0).mean(), rel=0.2)


@pytest.mark.parametrize("bits", [6, 8])
def test_a_shuffle_is_a_bijection(bits: int) -> None:
    orders = set()
    for key in range(50):
        order = tuple(int(shuffled(uint64(mix64(uint64(key))), place, bits)) for place in range(1 << bits))
        assert sorted(order) == list(range(1 << bits))
        orders.add(order)
    assert len(orders) > 45


def test_a_slash16_has_as_many_active_24s_as_it_says() -> None:
    population = small()
    seen = set()
    for slash16 in (slash8 << 8 | low for slash8 in (46, 51, 71, 89, 138, 176, 208) for low in range(0, 256, 51)):
        active = [bool(is_active(population.tables, slash16 << 8 | low)) for low in range(256)]
        assert sum(active) == active24s(population.tables, slash16)
        seen.add(sum(active))
    assert seen <= {0, 128, 256}
    assert len(seen) > 1


def test_used_24s_lie_together() -> None:
    tables = load_population().tables
    slash16 = next(prefix for prefix in range(0x2E00, 0xC000) if 64 < active24s(tables, prefix) < 128)
    active = np.array([bool(is_active(tables, slash16 << 8 | low)) for low in range(256)]).reshape(64, 4)
    assert (active.all(axis=1) | ~active.any(axis=1)).sum() >= 63  # all of four or none, the last ones apart


def test_special_purpose_space_is_silent() -> None:
    special = special_purpose()
    addresses = np.concatenate([special.first, special.last, special.first + (special.last - special.first) // 2])
    for population in (load_population(), small()):
        assert not rows_in(population, np.sort(addresses)).any()
    beside = np.setdiff1d(np.concatenate([special.first - 1, special.last + 1]), addresses)
    assert rows_in(small(), whole(beside >> np.uint32(8))).any()


def test_routers_are_gateways_of_their_24_and_never_speak_for_themselves() -> None:
    population = small()
    addresses = whole(sample24(public_space(), 400, 3))
    routers, hosts = set(), set()
    for address in addresses.tolist():
        row = population.rows.rows[int(row_of(population.tables, address))]
        router = int(router_of(population.tables, address))
        assert router >> 8 == address >> 8
        hosts.add(router & 255)
        if any(answer & FROM_ROUTER for answer in row.answers):
            routers.add(router)
            assert router != address
            assert row.kind == "unused"
    assert hosts == {1, 254}
    assert len(routers) > 50
    for router in routers:
        row = population.rows.rows[int(row_of(population.tables, router))]
        assert row.kind == "gateway"
        assert row.router_answers in [row.answers for row in population.rows.rows] or any(row.router_answers)


def test_a_tarpit_prefix_is_one_of_tarpits_alone() -> None:
    population = small()
    drawn = sample24(public_space(), 300, 4).tolist()
    prefixes = [prefix for prefix in drawn if kind_of(population.tables, prefix) >= 0]
    kinds = np.array(
        [
            [population.rows.rows[int(row_of(population.tables, prefix << 8 | low))].kind for low in range(256)]
            for prefix in prefixes
        ]
    ).reshape(-1, 4)
    tarpits = (kinds == "tarpit").sum(axis=1)
    gateways = (kinds == "gateway").any(axis=1)
    assert (tarpits == 4).sum() > 100
    assert set(tarpits[~gateways].tolist()) == {0, 4}
