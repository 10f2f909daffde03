"""Slices of a run: taxonomy, coverage and response rates for each part of a partition of the address space."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.slicing import FAMILY_SETS, LAYERS
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.views import Shown
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Measure, RunResults, plain
from liveness.analysis.measures.coverage import Coverage, coverage_of, documented
from liveness.analysis.measures.taxonomy import Taxonomy
from liveness.analysis.numbers import count, named_formulas
from liveness.analysis.tables import Cell, Column, Datum, Share, Table

TOP: Final = 20
"""The number of slices that are shown by default."""
UNKNOWN: Final = "?"
"""The name of the slice of addresses without a label."""


@dataclass(frozen=True, slots=True)
class ResponseRates:
    """The shares of a slice's targets that answer.

    Transport-active addresses are targets themselves: if a run took a sample, their share has a 95% interval.
    """

    ipall: Annotated[float | None, Formula("IPall / targets; sources of ICMP errors that are no targets are in IPall")]
    transport_active: Annotated[float | None, Formula("SYN-ACK or RST on at least one TCP port / targets")]
    transport_active_low: float | None = None
    transport_active_high: float | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice; `name` is None for addresses without a label in the data on prefixes."""

    name: str | None
    taxonomy: Taxonomy
    addresses: Coverage
    prefixes24: Coverage
    targets: int | None = None
    """The number of its targets, for a sample the expected number; None if the run does not record it."""
    rates: ResponseRates | None = None


@dataclass(frozen=True, slots=True)
class Slices:
    """All slices with a target or any address, in descending order of IPall, and the attribute that defines them."""

    by: str
    slices: list[Slice]


def slices(run: RunStates) -> Slices | None:
    """Return a run's slices, None if it was not sliced."""
    if run.partition is None or run.slice_counts is None:
        return None
    names, targets = run.partition.names, run.slice_targets
    wanted = run.slice_counts.any(axis=1)
    if targets is not None:
        wanted |= targets > 0
    found = [
        _slice(run, names[place], run.slice_counts[place], None if targets is None else int(targets[place]))
        for place in np.flatnonzero(wanted)
    ]
    found.sort(key=lambda entry: (-entry.addresses.all, -entry.taxonomy.network_alive, entry.name or ""))
    return Slices(run.partition.by, found)


def _slice(run: RunStates, name: str | None, counts: NDArray[np.int64], targets: int | None) -> Slice:
    """Return one slice from its columns."""
    by_families, layers, by_families24 = np.split(counts, [FAMILY_SETS, FAMILY_SETS + LAYERS])
    places = np.arange(FAMILY_SETS)
    found = {family: (places >> bit) & 1 == 1 for bit, family in enumerate(FAMILIES)}
    taxonomy = Taxonomy(**{shown.name.lower(): int(layers[shown - Shown.NETWORK_ALIVE]) for shown in _LAYERS})
    addresses = coverage_of(by_families, found)
    rates = None
    if targets is not None:
        active = run.sampling.share(taxonomy.transport_active, targets)
        all_addresses = Share.of_counts(addresses.all, targets)
        rates = ResponseRates(all_addresses.value, active.value, active.low, active.high)
    return Slice(name, taxonomy, addresses, coverage_of(by_families24, found), targets, rates)


_LAYERS = tuple(Shown)[Shown.NETWORK_ALIVE :]


def tables(value: Slices | None, run: RunResults) -> Iterator[Table]:
    """Yield the slices, with response rates if the run records the number of targets in each."""
    if value is None:
        return
    with_targets = any(entry.targets is not None for entry in value.slices)
    rows = [_row(entry, run, with_targets=with_targets) for entry in value.slices]
    of_slice = "IPall of the slice"
    columns = [
        Column(value.by),
        Column("IPall", "addresses"),
        Column("share", "share", "IPall of the run"),
        *(Column(family, "share", of_slice) for family in FAMILIES),
        Column("SYN-ACK", "share", of_slice),
        Column("/24s", "/24s"),
    ]
    notes = [
        f"share: of the {count(run.ipall)} addresses of IPall. The others: of the slice's IPall.",
        "SYN-ACK: transport alive. /24s: those with addresses of IPall. ?: nothing is said of these addresses.",
    ]
    if with_targets:
        columns += [
            Column("targets", "targets"),
            Column("response", "share", "targets of the slice", "IPall / targets"),
            Column("TCP", "share", "targets of the slice", "transport active / targets"),
        ]
        shown = formulas(ResponseRates)
        notes += named_formulas({"response": shown["ipall"], "TCP": shown["transport_active"]})
        if run.sampling.kind == "sample":
            notes.append("targets: the expected number in the sample, which is drawn at random.")
        notes += run.sampling_notes()
    yield Table(
        "slices",
        f"Slices by {value.by}",
        columns,
        rows,
        notes,
        shown=TOP,
        shown_note=f"The {{shown}} largest of {count(len(value.slices))}; --json has all, with every layer and family.",
        data=list(_data(value, columns, rows)),
    )


def _row(entry: Slice, run: RunResults, *, with_targets: bool) -> tuple[Cell, ...]:
    found, layers = entry.addresses, entry.taxonomy
    row: list[Cell] = [
        UNKNOWN if entry.name is None else entry.name,
        found.all,
        Share.of_counts(found.all, run.ipall),
        *(Share.of_counts(found.families[family].total, found.all) for family in FAMILIES),
        Share.of_counts(layers.transport_alive, found.all),
        entry.prefixes24.all,
    ]
    if with_targets:
        row += [
            entry.targets,
            Share.of_counts(found.all, entry.targets),
            run.sampled(layers.transport_active, entry.targets),
        ]
    return tuple(row)


def _data(value: Slices, columns: list[Column], rows: list[tuple[Cell, ...]]) -> Iterator[Datum]:
    """Yield all numbers of the rows, and every layer and family in addresses."""
    yield from Table("slices", "", columns, rows).tidy()
    for entry in value.slices:
        keys = {value.by: UNKNOWN if entry.name is None else entry.name}
        for layer in formulas(Taxonomy):
            yield Datum(keys, layer, getattr(entry.taxonomy, layer), "addresses")
        for family, part in entry.addresses.families.items():
            yield Datum(keys, f"{family} total", part.total, "addresses")
            yield Datum(keys, f"{family} unique", part.unique, "addresses")


def document(value: Slices | None) -> object:
    """Return the slices, with targets and response rates if the run records them."""
    if value is None:
        return None
    return {"by": value.by, "slices": [_documented(entry) for entry in value.slices]}


def _documented(entry: Slice) -> dict[str, object]:
    part: dict[str, object] = {
        "slice": entry.name,
        "taxonomy": plain(entry.taxonomy),
        "coverage": {"addresses": documented(entry.addresses), "prefixes24": documented(entry.prefixes24)},
    }
    if entry.targets is not None:
        part |= {"targets": entry.targets, "response_rates": plain(entry.rates)}
    return part


SLICES = Measure("slices", slices, tables, document=document)
