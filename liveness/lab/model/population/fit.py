"""The fit of a population to published values: every share of the model and of a sample, compared with the paper."""

from dataclasses import dataclass
from typing import Final

from liveness.lab.model.population.expected import Counts, expected_counts
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.sample import counted, prefixes24_of, public_space, sample24
from liveness.lab.model.population.shares import Fitted, fitted_shares

CLOSE: Final = 0.01
"""A share within this distance of the published one counts as met."""


@dataclass(frozen=True, slots=True)
class FitLine:
    """One share: its expectation in the model, and its value in a sample."""

    model: Fitted
    sample: Fitted


@dataclass(frozen=True, slots=True)
class Fit:
    """All shares of a population; `sampled24` /24s of the public space were sampled and scaled to all of it."""

    sampled24: int
    lines: list[FitLine]


def fit_of(population: Population, prefixes24: int) -> Fit:
    """Return the fit of the model and of a sample of `prefixes24` /24s; equal seeds give the same sample."""
    space = public_space()
    chosen = sample24(space, prefixes24, population.seed)
    sample = counted(population, chosen)
    scale = prefixes24_of(space).count / len(chosen)
    scaled = Counts(sample.rows * scale, sample.prefixes24 * scale)
    pairs = zip(fitted_shares(population, expected_counts(population)), fitted_shares(population, scaled), strict=True)
    return Fit(len(chosen), [FitLine(*pair) for pair in pairs])
