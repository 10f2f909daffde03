"""Conditional activity: who answers one probe, given that they answer another (Bano et al. 2018, figure 5)."""

from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, share

Matrix = dict[str, dict[str, float | None]]
"""``matrix[x][y]`` = P(Y | X); None where X is empty."""


@dataclass(frozen=True, slots=True)
class Conditional:
    """P(Y | X) for every two service probes, on two bases."""

    replies: Annotated[
        Matrix, Formula("P(Y | X) = |X and Y| / |X|; active: echo reply; SYN-ACK or RST; UDP answer or payload")
    ]
    with_errors: Annotated[
        Matrix, Formula("P(Y | X) = |X and Y| / |X|; active: any reply, or an ICMP error to the probe")
    ]


def conditional(run: RunStates) -> Conditional:
    """Compute both matrices over the service probes of a run."""
    return Conditional(replies=_matrix(run, with_errors=False), with_errors=_matrix(run, with_errors=True))


def _matrix(run: RunStates, *, with_errors: bool) -> Matrix:
    """Compute one matrix."""
    active = {probe: run.activity(probe, with_errors=with_errors) for probe in run.probes}
    return {
        given: {probe: share(run.count(known & members), run.count(known)) for probe, members in active.items()}
        for given, known in active.items()
    }
