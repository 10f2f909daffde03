"""Tarpits: addresses that accept every connection, and how they inflate each port (Bano et al. 2018, section 4.2)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, share
from liveness.replies import CONTROL, Kind

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


def tarpits(run: RunStates) -> Tarpits:
    """Count tarpit candidates of a run; `confirmed` is None if no control was probed."""
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
