"""Tarpits: addresses that accept every connection, and how they inflate each port (Bano et al. 2018, section 4.2)."""

from dataclasses import dataclass
from typing import Annotated

from pyroaring import BitMap

from liveness.analysis.result import Formula, share
from liveness.analysis.run import RunSets
from liveness.types import CONTROL, Kind

FEWEST_PORTS = 2
"""With fewer TCP ports every service would look like a tarpit: no candidates then."""


@dataclass(frozen=True, slots=True)
class Inflation:
    """How much larger a port's alive population looks for its tarpits; the paper's wording admits both readings."""

    over_rest: Annotated[float | None, Formula("candidates / (alive on the port - candidates)")]
    over_alive: Annotated[float | None, Formula("candidates / alive on the port")]


@dataclass(frozen=True, slots=True)
class Tarpits:
    """Candidates, and those the control port confirmed within the same pass."""

    candidates: Annotated[int, Formula("SYN-ACK on every TCP port probed")]
    confirmed: Annotated[int | None, Formula("candidates that also sent SYN-ACK from the random high control port")]
    inflation: dict[int, Inflation]


def tarpits(run: RunSets) -> Tarpits:
    """Count tarpit candidates of a run; `confirmed` is None if no control was probed."""
    alive = {port: run.syn_ack(port) for port in run.tcp_ports}
    candidates = BitMap.intersection(*alive.values()) if len(alive) >= FEWEST_PORTS else BitMap()
    count = len(candidates)
    confirmed = candidates.intersection_cardinality(run.union((CONTROL,), (Kind.SYN_ACK,)))
    return Tarpits(
        candidates=count,
        confirmed=confirmed if run.has_control else None,
        inflation={
            port: Inflation(over_rest=share(count, len(members) - count), over_alive=share(count, len(members)))
            for port, members in alive.items()
        },
    )
