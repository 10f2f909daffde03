"""Trinocular's arithmetic against published constants, and its replay on blocks whose outages are known."""

import numpy as np
import pytest

from liveness.analysis.survey.block import downs_of
from liveness.analysis.survey.trinocular import recovery_probes, replay, state_of, updated
from liveness.planes.matrix import Planes
from liveness.planes.verdicts import DOWN, UNCERTAIN, UP

NEGATIVES = {0.1: 67, 0.2: 31, 0.3: 20, 0.35: 16, 0.36: 16, 0.37: 15, 0.4: 14, 0.5: 10, 0.6: 8, 0.7: 6, 0.8: 5, 0.9: 3}
POSITIVES = {0.1: 3, 0.2: 2, 0.3: 2, 0.5: 2, 0.9: 2}
RECOVERY = {0.1: 16, 0.2: 8, 0.3: 5, 0.35: 4, 0.4: 4, 0.5: 3, 0.6: 2, 0.7: 2, 0.8: 1, 0.9: 1}


def test_beliefs_of_ten_silences() -> None:
    expected = [0.980273, 0.961453, 0.926034, 0.862716, 0.759284, 0.612892, 0.442805, 0.285149, 0.16682, 0.091321]
    belief, found = 0.99, []
    for _ in expected:
        belief = updated(belief, False, 0.5)
        found.append(round(belief, 6))
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("availability", "probes"), NEGATIVES.items())
def test_silences_until_a_block_is_down(availability: float, probes: int) -> None:
    belief, count = 0.99, 0
    while state_of(belief) != DOWN:
        belief = updated(belief, False, availability)
        count += 1
    assert count == probes


@pytest.mark.parametrize(("availability", "probes"), POSITIVES.items())
def test_answers_until_a_block_is_up(availability: float, probes: int) -> None:
    belief, count = 0.01, 0
    while state_of(belief) != UP:
        belief = updated(belief, True, availability)
        count += 1
    assert count == probes


@pytest.mark.parametrize(("availability", "probes"), RECOVERY.items())
def test_recovery_probes(availability: float, probes: int) -> None:
    assert recovery_probes(availability) == probes


def replayed(planes: Planes, rows: int, availability: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.random.default_rng(1).permutation(rows)
    states, beliefs = np.zeros(planes.rounds, np.uint8), np.zeros(planes.rounds)
    probes = np.zeros(planes.rounds, np.uint8)
    replay(
        planes.sent, planes.positive, order, planes.rounds, availability, recovery_probes(availability),
        states, beliefs, probes, np.zeros((planes.rounds, 0), np.int16),
    )  # fmt: skip
    return states, beliefs, probes


def block(rows: int, rounds: int, availability: float, down: range, seed: int = 3) -> Planes:
    rng = np.random.default_rng(seed)
    planes = Planes.empty(rows, rounds)
    address, number = np.divmod(np.arange(rows * rounds), rounds)
    planes.put("sent", address, number)
    up = (rng.random(len(address)) < availability) & ~np.isin(number, list(down))
    planes.put("positive", address[up], number[up])
    return planes


@pytest.mark.parametrize("availability", [0.5, 0.7, 0.9, 0.99])
def test_an_outage_is_found_within_a_round(availability: float) -> None:
    planes = block(60, 300, availability, range(100, 130))
    states, _, probes = replayed(planes, 60, availability)
    (outage,) = downs_of(0, states, probes)
    assert abs(outage.first - 100) <= 1
    assert outage.end is not None
    assert abs(outage.end - 130) <= 1
    assert probes.max() <= 15 + recovery_probes(availability)


@pytest.mark.parametrize("availability", [0.6, 0.9, 0.95])
def test_what_chance_invents_is_rare_and_over_at_once(availability: float) -> None:
    """Where addresses answer by chance, some silences in a row make a belief: the next round corrects it."""
    planes = block(100, 3000, availability, range(0))
    states, _, probes = replayed(planes, 100, availability)
    outages = downs_of(0, states, probes)
    assert len(outages) < 0.005 * 3000
    assert all(outage.sent <= 3 for outage in outages)
    assert probes.min() >= 1


def test_a_sparse_block_cannot_be_declared_down_within_a_round() -> None:
    """A of 0.2 needs 31 silences; a round has 15: the belief returns to 0.5 and the next round goes on from there."""
    planes = block(60, 120, 0.2, range(50, 80))
    states, beliefs, probes = replayed(planes, 60, 0.2)
    assert states[50] != DOWN
    assert probes[50] == 15
    assert DOWN in states[51:56].tolist()
    assert (beliefs[50] == 0.5) or state_of(beliefs[50]) == UNCERTAIN


def test_unsent_rounds_have_no_probe_and_keep_the_state() -> None:
    planes = block(40, 50, 0.8, range(20, 30))
    planes.sent[:, 22 // 8] &= np.uint8(0xFF ^ (1 << (22 % 8)))
    states, _, probes = replayed(planes, 40, 0.8)
    assert probes[22] == 0
    assert states[22] == states[21] == DOWN
