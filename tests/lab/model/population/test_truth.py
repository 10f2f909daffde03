"""The sets of a census without loss equal what asking every address every probe brings back."""

import numpy as np
import pytest

from liveness.errors import UsageError
from liveness.kernel import COMPILED
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.load import load_population
from liveness.lab.model.population.sample import public_space, sample24
from liveness.lab.model.population.truth import truth
from liveness.replies import Kind, Role
from tests.lab.model.population.support import sets_by_hand, small, whole

PREFIXES = 120 if COMPILED else 12


def test_every_set_equals_the_answers_asked_one_at_a_time() -> None:
    for population in (small(), load_population()):
        addresses = whole(sample24(public_space(), PREFIXES, 9))
        found = {key: set(members) for key, members in truth(population, addresses, PROBES).items()}
        assert found == sets_by_hand(population, addresses)
        assert len(found) > 20


def test_only_probed_addresses_and_probes_count() -> None:
    population = small()
    addresses = whole(sample24(public_space(), PREFIXES, 9))[::3]
    probes = ("ntp", "tcp/8080", "icmp")
    found = truth(population, addresses, probes)
    assert {key: set(members) for key, members in found.items()} == sets_by_hand(population, addresses, probes)
    assert {key.reply.probe for key in found} == set(probes)
    probed = set(addresses.tolist())
    targets = [members for key, members in found.items() if key.role is Role.TARGET]
    assert all(set(members) <= probed for members in targets)
    secondary = [
        set(members) - probed
        for key, members in found.items()
        if key.role is Role.SOURCE and key.reply.kind is Kind.ERROR
    ]
    assert any(secondary)  # gateways answer for others, probed or not


def test_no_address_no_set() -> None:
    assert truth(small(), np.empty(0, np.uint32)) == {}
    assert truth(small(), np.array([0x7F000001], np.uint32)) == {}


def test_what_no_population_answers_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"probes: 'sctp/80'"):
        truth(small(), np.array([1], np.uint32), (*PROBES, "sctp/80"))
