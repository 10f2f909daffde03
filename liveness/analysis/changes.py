"""What changed between two runs: addresses born, died and stayed, over all and by family."""

from dataclasses import dataclass
from typing import Annotated

from pyroaring import BitMap

from liveness.analysis.result import Formula
from liveness.analysis.run import FAMILIES, RunSets


@dataclass(frozen=True, slots=True)
class Population:
    """What a comparison needs of a run, so that the rest of its sets can go: IPall and each family's part of it."""

    run: str
    all: BitMap
    families: dict[str, BitMap]


@dataclass(frozen=True, slots=True)
class Turnover:
    """How one population became another."""

    born: Annotated[int, Formula("network alive in the later run only")]
    died: Annotated[int, Formula("network alive in the earlier run only")]
    stayed: Annotated[int, Formula("network alive in both runs")]


@dataclass(frozen=True, slots=True)
class Change:
    """The turnover from one run to the next, of IPall and of each family's coverage."""

    before: str
    after: str
    all: Turnover
    families: dict[str, Turnover]


def population(run: RunSets) -> Population:
    """Return what a run leaves for comparison with others."""
    families = {family: run.network_alive(family) for family in FAMILIES}
    return Population(run=run.manifest.run, all=run.all_addresses(), families=families)


def change(before: Population, after: Population) -> Change:
    """Compare two populations, the earlier first."""
    return Change(
        before=before.run,
        after=after.run,
        all=_turnover(before.all, after.all),
        families={family: _turnover(before.families[family], after.families[family]) for family in FAMILIES},
    )


def _turnover(before: BitMap, after: BitMap) -> Turnover:
    """Compare two sets."""
    return Turnover(
        born=after.difference_cardinality(before),
        died=before.difference_cardinality(after),
        stayed=before.intersection_cardinality(after),
    )
