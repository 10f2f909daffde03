"""Slices of a run: taxonomy and coverage of each part of a partition of the address space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.slicing import FAMILY_SETS, LAYERS
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.views import Shown
from liveness.analysis.measures.coverage import Coverage, coverage_of
from liveness.analysis.measures.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice; `name` is None for the addresses of which the data on prefixes say nothing."""

    name: str | None
    taxonomy: Taxonomy
    addresses: Coverage
    prefixes24: Coverage


@dataclass(frozen=True, slots=True)
class Slices:
    """All slices with any address, by falling IPall, and what they were cut by."""

    by: str
    slices: list[Slice]


def slices(run: RunStates) -> Slices | None:
    """Return a run's slices, None if it was not sliced."""
    if run.partition is None or run.slice_counts is None:
        return None
    names = run.partition.names
    found = [_slice(names[place], run.slice_counts[place]) for place in np.flatnonzero(run.slice_counts.any(axis=1))]
    found.sort(key=lambda one: (-one.addresses.all, -one.taxonomy.network_alive, one.name or ""))
    return Slices(run.partition.by, found)


def _slice(name: str | None, counts: NDArray[np.int64]) -> Slice:
    """Return one slice from its columns."""
    by_families, layers, by_families24 = np.split(counts, [FAMILY_SETS, FAMILY_SETS + LAYERS])
    places = np.arange(FAMILY_SETS)
    found = {family: (places >> bit) & 1 == 1 for bit, family in enumerate(FAMILIES)}
    return Slice(
        name=name,
        taxonomy=Taxonomy(**{shown.name.lower(): int(layers[shown - Shown.NETWORK_ALIVE]) for shown in _LAYERS}),
        addresses=coverage_of(by_families, found),
        prefixes24=coverage_of(by_families24, found),
    )


_LAYERS = tuple(Shown)[Shown.NETWORK_ALIVE :]
