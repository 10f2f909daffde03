"""Estimates from weighted blocks: right on average over many selections, with intervals that hold the truth."""

import numpy as np

from liveness.analysis.survey.estimates import ratio, total
from liveness.survey.availability import BlockAvailability
from liveness.survey.selection import select

POPULATION = 400
SELECTIONS = 300
COUNTS = {"random": 40, "spaced": 40, "novel": 80}


def test_estimates_of_a_mixed_selection_are_those_of_one_population() -> None:
    """Policies draw from the same blocks: their weights must not count the population three times."""
    rng = np.random.default_rng(8)
    numbers = np.arange(POPULATION, dtype=np.uint32)
    ever = rng.integers(1, 200, POPULATION).astype(float)
    a = np.clip(rng.beta(2, 2, POPULATION), 0.01, 0.99)
    availability = BlockAvailability(numbers, a, a / 3)
    truth, mean_a = ever.sum(), (a * ever).sum() / ever.sum()
    totals, ratios, held = [], [], 0
    for seed in range(SELECTIONS):
        blocks, _ = select(numbers, numbers, availability, COUNTS, None, seed)
        mine = ever[blocks.numbers]
        found = total(mine, blocks.weights, blocks.policies)
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        totals.append(found.value)
        held += found.low <= truth <= found.high
        ratios.append(ratio(mine * a[blocks.numbers], mine, blocks.weights, blocks.policies).value)
    assert abs(np.mean(totals) / truth - 1) < 0.01
    assert abs(np.mean([value for value in ratios if value is not None]) - mean_a) < 0.01
    assert held > 0.8 * SELECTIONS


def test_a_selection_of_all_blocks_is_exact() -> None:
    values, weights = np.array([3.0, 5.0, 0.0]), np.ones(3)
    assert total(values, weights, ("given",) * 3) == (8.0, 8.0, 8.0)
    assert ratio(values, np.array([4.0, 4.0, 4.0]), weights, ("given",) * 3).value == 8 / 12
