"""Tarpits: addresses that accept every connection, and their inflation of ports (Bano et al. 2018, section 4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.numbers import named_formulas
from liveness.analysis.tables import PUBLISHED, Column, Share, Table
from liveness.reference.bano_2018 import VALUES, words
from liveness.replies import CONTROL, Kind

FEWEST_PORTS = 2
"""With fewer TCP ports every service would appear to be a tarpit, so there are no candidates."""


@dataclass(frozen=True, slots=True)
class Inflation:
    """The increase of a port's alive population by tarpits; the paper's wording allows both readings."""

    over_rest: Annotated[float | None, Formula("candidates / (alive on the port - candidates)")]
    over_alive: Annotated[float | None, Formula("candidates / alive on the port")]


@dataclass(frozen=True, slots=True)
class Tarpits:
    """Candidates, and those confirmed by the control port in the same pass."""

    candidates: Annotated[int, Formula("SYN-ACK on every TCP port probed")]
    confirmed: Annotated[int | None, Formula("candidates that also sent SYN-ACK from the random high control port")]
    inflation: dict[int, Inflation]


def tarpits(run: RunStates) -> Tarpits:
    """Count tarpit candidates of a run; `confirmed` is None if no control probe was sent."""
    alive = {port: run.syn_ack(port) for port in run.tcp_ports}
    everywhere = (
        np.all(list(alive.values()), axis=0) if len(alive) >= FEWEST_PORTS else np.zeros(len(run.counts), np.bool_)
    )
    candidates = run.count(everywhere)
    confirmed = run.count(everywhere & run.sent((CONTROL,), (Kind.SYN_ACK,)))
    inflation = {}
    for port, members in alive.items():
        size = run.count(members)
        inflation[port] = Inflation(over_rest=share(candidates, size - candidates), over_alive=share(candidates, size))
    return Tarpits(candidates=candidates, confirmed=confirmed if run.has_control else None, inflation=inflation)


def tables(value: Tarpits, run: RunResults) -> Iterator[Table]:
    """Yield candidates, the number of confirmed ones, and the inflation of each port."""
    confirmed = Share(None, of="candidates")
    if value.confirmed is not None:
        confirmed = run.sampled(value.confirmed, value.candidates, "candidates")
    notes = named_formulas({name: text for name, text in formulas(Tarpits).items() if name != "inflation"})
    if len(value.inflation) < FEWEST_PORTS:
        notes.append(
            "Fewer than two TCP ports were probed: every open port would look like a tarpit, so none is counted."
        )
    if value.confirmed is None:
        notes.append("No control port was probed: nothing could be confirmed.")
    elif run.manifest.control_port is not None:
        notes.append(f"The control port of this run was {run.manifest.control_port}.")
    yield Table(
        "tarpits",
        "Tarpits (section 4.2)",
        (
            Column("", key="of"),
            Column("addresses", "addresses"),
            Column("share", "share", "candidates"),
            PUBLISHED,
        ),
        [
            ("candidates", value.candidates, "", words("tarpits.candidates")),
            ("confirmed", value.confirmed, confirmed, words("tarpits.confirmed")),
        ],
        notes,
    )
    yield Table(
        "inflation",
        "Inflation by tarpits (section 4.2)",
        (
            Column("port"),
            Column("over the rest", "share", "alive on the port less candidates"),
            Column("over alive", "share", "alive on the port"),
            PUBLISHED,
        ),
        [
            (str(port), Share(inflation.over_rest), Share(inflation.over_alive), words(f"inflation.{port}"))
            for port, inflation in value.inflation.items()
        ],
        named_formulas(formulas(Inflation)),
    )


def comparisons(value: Tarpits, run: RunResults) -> Iterator[Comparison]:
    """Yield the confirmed share, and the inflation of each port."""
    del run
    if value.confirmed is not None:
        confirmed = share(value.confirmed, value.candidates)
        yield Comparison("tarpits confirmed", "of candidates", confirmed, VALUES["tarpits.confirmed"])
    for port, inflation in value.inflation.items():
        if f"inflation.{port}" in VALUES:
            yield Comparison(
                f"inflation of {port} by tarpits",
                "candidates / (alive - candidates)",
                inflation.over_rest,
                VALUES[f"inflation.{port}"],
            )


TARPITS = Measure("tarpits", tarpits, tables, comparisons=comparisons)
