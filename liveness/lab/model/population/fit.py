"""How well a population fits what was published: every share of the model and of a sample, beside the paper's."""

from dataclasses import dataclass
from typing import Final

from liveness.lab.model.population.expected import Counts, expected_counts
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.sample import counted, prefixes24_of, public_space, sample24
from liveness.lab.model.population.shares import Fitted, fitted_shares

CLOSE: Final = 0.01
"""A share that is this near to the published one counts as met."""


@dataclass(frozen=True, slots=True)
class FitLine:
    """One share: as the model has it on average, and as a sample has it."""

    model: Fitted
    sample: Fitted


@dataclass(frozen=True, slots=True)
class Fit:
    """Every share of a population; `sampled24` /24s of the public space were looked at, scaled up to all of it."""

    sampled24: int
    lines: list[FitLine]


def fit_of(population: Population, prefixes24: int) -> Fit:
    """Return the fit, and that of a sample of so many /24s, the same ones for equal seeds."""
    space = public_space()
    chosen = sample24(space, prefixes24, population.seed)
    sample = counted(population, chosen)
    scale = prefixes24_of(space).count / len(chosen)
    scaled = Counts(sample.rows * scale, sample.prefixes24 * scale)
    pairs = zip(fitted_shares(population, expected_counts(population)), fitted_shares(population, scaled), strict=True)
    return Fit(len(chosen), [FitLine(*pair) for pair in pairs])
