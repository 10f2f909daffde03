"""Probes and replies: packets sent and accepted, and the share of targets that answered each probe."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.measures.record import unless_zero
from liveness.analysis.numbers import named_formulas
from liveness.analysis.tables import Cell, Column, Counts, Table


@dataclass(frozen=True, slots=True)
class ResponseRate:
    """Targets of one probe and those that answered, with the 95% interval of the rate if the targets are a sample."""

    targets: Annotated[int, Formula("targets that the first attempt was sent to")]
    answered: Annotated[int, Formula("targets that anything came back for")]
    rate: Annotated[float | None, Formula("answered / targets")]
    low: float | None = None
    high: float | None = None


def response_rates(run: RunStates) -> dict[str, ResponseRate]:
    """Return rates by probe; empty for a part of the address space, since a run counts answers as a whole."""
    if run.within is not None:
        return {}
    rates = {}
    for probe, counts in run.manifest.probes.items():
        answered, targets = sum(run.manifest.attempts.get(probe, {}).values()), counts.sent[0] if counts.sent else 0
        share = run.sampling.share(answered, targets)
        rates[probe] = ResponseRate(targets, answered, share.value, share.low, share.high)
    return rates


def tables(value: dict[str, ResponseRate], run: RunResults) -> Iterator[Table]:
    """Yield packets sent and accepted, by probe."""
    manifest = run.manifest
    if run.within is not None:
        return
    rows: list[tuple[Cell, ...]] = []
    for probe, counts in manifest.probes.items():
        rate = value[probe]
        rows.append(
            (
                probe,
                Counts(counts.sent),
                unless_zero(counts.send_errors),
                rate.answered,
                run.sampled(rate.answered, rate.targets),
                sum(manifest.messages.get(probe, {}).values()),
                sum(manifest.weak.get(probe, {}).values()),
            )
        )
    wanted = {name: text for name, text in formulas(ResponseRate).items() if name != "targets"}
    yield Table(
        "response_rates",
        "Probes and replies",
        (
            Column("probe"),
            Column("sent, by attempt", "packets", key="sent, attempt"),
            Column("send errors", "packets"),
            Column("answered", "targets"),
            Column("rate", "share", "targets of the probe"),
            Column("replies", "packets"),
            Column("weak", "packets"),
        ),
        rows,
        [
            "sent: targets, an attempt at a time.",
            *named_formulas(wanted),
            "replies: accepted packets, duplicates included. weak: those that prove fewer than 32 bits of the cookie.",
            *run.sampling_notes(),
        ],
    )


RESPONSE_RATES = Measure("response_rates", response_rates, tables)
