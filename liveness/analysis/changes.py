"""What changed between two runs: addresses born, died and stayed, over all, by family and by port."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from liveness.analysis.comparing import BORN, DIED, STAYED
from liveness.analysis.result import Formula
from liveness.analysis.run import FAMILIES
from liveness.analysis.states import RunStates
from liveness.analysis.walk import Compared


@dataclass(frozen=True, slots=True)
class Turnover:
    """How one population became another."""

    born: Annotated[int, Formula("network alive in the later run only")]
    died: Annotated[int, Formula("network alive in the earlier run only")]
    stayed: Annotated[int, Formula("network alive in both runs")]


@dataclass(frozen=True, slots=True)
class PortTurnover:
    """How those alive on one TCP port became others."""

    born: Annotated[int, Formula("SYN-ACK from the port in the later run only")]
    died: Annotated[int, Formula("SYN-ACK from the port in the earlier run only")]
    stayed: Annotated[int, Formula("SYN-ACK from the port in both runs")]


@dataclass(frozen=True, slots=True)
class Change:
    """The turnover from one run to the next: of IPall, of each family's coverage, of each port that both probed."""

    before: str
    after: str
    all: Turnover
    families: dict[str, Turnover]
    ports: dict[int, PortTurnover]


def changes(runs: list[RunStates], compared: Compared) -> list[Change]:
    """Return how each run became the next; `runs` are in the order in which they were compared."""
    found = []
    for (before, after), counts in zip(pairwise(runs), compared.turnovers, strict=True):
        numbers = {
            name: (int(row[BORN]), int(row[DIED]), int(row[STAYED]))
            for name, row in zip(compared.bits, counts, strict=True)
        }
        found.append(
            Change(
                before=before.manifest.run,
                after=after.manifest.run,
                all=Turnover(*numbers["all"]),
                families={family: Turnover(*numbers[family]) for family in FAMILIES},
                ports={
                    port: PortTurnover(*numbers[f"tcp/{port}"]) for port in after.tcp_ports if port in before.tcp_ports
                },
            )
        )
    return found
