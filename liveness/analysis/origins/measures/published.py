"""Published values of Wan et al. 2020, and ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from liveness.analysis.numbers import ABSENT, percent
from liveness.analysis.origins.counts import OriginCounts
from liveness.analysis.origins.measure import OriginMeasure
from liveness.analysis.origins.measures.classes import classes
from liveness.analysis.origins.measures.coverage import coverage
from liveness.analysis.origins.measures.gain import gain
from liveness.analysis.tables import Column, Datum, Table
from liveness.reference.published import Published
from liveness.reference.wan_2020 import LABEL, VALUES

PROBES: Final = ("tcp/80", "tcp/443", "tcp/22")
DIVERSE: Final = (2, 3)
"""The numbers of origins that the published gain is of."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A published value, and the least and the largest of ours."""

    result: str
    low: float
    high: float
    published: Published


def published(counts: OriginCounts) -> list[Compared]:
    """Return the published values for which these runs have some of their own."""
    return list(_compared(counts))


def _compared(counts: OriginCounts) -> Iterator[Compared]:
    covered = [
        entry
        for entry in coverage(counts)
        if entry.kind == "syn-ack"
        and entry.probe in PROBES
        and entry.any
        and counts.design.trials[entry.trial - 1].compares
    ]
    gained = [entry for entry in gain(counts) if entry.kind == "syn-ack"]
    for probe in PROBES:
        missed = [seen.missed_share for entry in covered if entry.probe == probe for seen in entry.vantages.values()]
        yield from _range(f"{probe}: missed by a single vantage point", missed, f"missed.{probe}")
        means = [
            size.mean
            for entry in gained
            if entry.probe == probe
            for size in entry.sizes[:-1]  # all vantage points together saw all that counts
            if size.size in DIVERSE
        ]
        yield from _range(f"{probe}: seen by two or three", means, f"gain.{probe}")
    exclusive = [entry.exactly[0] / entry.any for entry in covered]
    yield from _range("seen by one vantage point only", exclusive, "exclusive")
    transient = [
        found.transient / found.missed
        for entry in classes(counts) or []
        if entry.kind == "syn-ack" and entry.probe in PROBES
        for found in entry.vantages.values()
        if found.missed
    ]
    yield from _range("transient, of what a vantage point missed", transient, "transient")


def _range(result: str, ours: Sequence[float | None], name: str) -> Iterator[Compared]:
    known = [value for value in ours if value is not None]
    if known and name in VALUES:
        yield Compared(result, min(known), max(known), VALUES[name])


def tables(value: Sequence[Compared], counts: OriginCounts) -> Iterator[Table]:
    """Yield our ranges and the published values."""
    del counts
    if value:
        yield Table(
            "origins_published",
            f"Compared with {LABEL}",
            (Column("result"), Column("these runs", "share"), Column(LABEL), Column("of")),
            [(entry.result, _words(entry), entry.published.words, entry.published.of) for entry in value],
            [
                f"{LABEL}: hosts that completed a handshake of HTTP, TLS or SSH. Here: addresses that sent a SYN-ACK.",
                "Ranges are over vantage points and trials with runs of two or more of them.",
            ],
            data=[datum for entry in value for datum in _data(entry)],
        )


def _words(entry: Compared) -> str:
    low, high = percent(entry.low), percent(entry.high)
    return low if low == high else f"{low} to {high}" if high != ABSENT else low


def _data(entry: Compared) -> Iterator[Datum]:
    keys = {"result": entry.result, "published id": entry.published.id}
    for quantity, number in (("least", entry.low), ("largest", entry.high)):
        yield Datum(keys, f"these runs, {quantity}", number, "share", entry.published.of)
    low, high = entry.published.range
    yield Datum(keys, "published, low", low, "share", entry.published.of)
    yield Datum(keys, "published, high", high, "share", entry.published.of)


def documented(value: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return our ranges and the published ones."""
    return [
        {
            "result": entry.result,
            "low": entry.low,
            "high": entry.high,
            "published": {"id": entry.published.id, "low": entry.published.low, "high": entry.published.high,
                          "source": LABEL},
        }
        for entry in value
    ]  # fmt: skip


PUBLISHED = OriginMeasure("published", published, tables, document=documented)
