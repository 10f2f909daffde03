"""What changed between two runs: addresses born, died and stayed, over all, by family and by port."""

from dataclasses import dataclass, field
from typing import Annotated

from liveness.analysis.across.pairing import Pair
from liveness.analysis.counting.comparing import BORN, DIED, STAYED
from liveness.analysis.counting.run import FAMILIES, family_probes, port_of, probes_of
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.views import ComparedBit, port_bit
from liveness.analysis.counting.walk import Compared
from liveness.analysis.formula import Formula


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
class Uncompared:
    """What a comparison leaves out of its two runs: targets and probes that the other does not have."""

    targets_before: int | None = None
    targets_after: int | None = None
    probes_before: list[str] = field(default_factory=list)
    probes_after: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """The turnover from one run to a later one: of IPall, of each family's coverage, of each port.

    Only targets of both count, `targets` of them, and replies to the probes of both, `probes`.
    """

    before: str
    after: str
    all: Turnover
    families: dict[str, Turnover]
    ports: dict[int, PortTurnover]
    targets: int | None = None
    """None where the runs do not tell how many of them lie in the part of the address space that counts."""
    probes: list[str] = field(default_factory=list)
    left_out: Uncompared = field(default_factory=Uncompared)


def changes(runs: list[RunStates], compared: Compared) -> list[Change]:
    """Return how each pair of runs that were compared differ."""
    return [
        _change(runs, pair, dict(zip(compared.bits, counts.tolist(), strict=True)))
        for pair, counts in zip(compared.comparisons.pairs, compared.turnovers, strict=True)
    ]


def _change(runs: list[RunStates], pair: Pair, counts: dict[ComparedBit, list[int]]) -> Change:
    before, after, probes = runs[pair.before], runs[pair.after], pair.shared.probes

    def numbers(bit: ComparedBit) -> dict[str, int]:
        row = counts[bit]
        return {"born": row[BORN], "died": row[DIED], "stayed": row[STAYED]}

    return Change(
        before=before.manifest.run,
        after=after.manifest.run,
        targets=pair.shared.targets,
        probes=list(probes),
        left_out=Uncompared(
            targets_before=_beyond(before.targets, pair.shared.targets),
            targets_after=_beyond(after.targets, pair.shared.targets),
            probes_before=[probe for probe in probes_of(before.manifest) if probe not in probes],
            probes_after=[probe for probe in probes_of(after.manifest) if probe not in probes],
        ),
        all=Turnover(**numbers((probes, "all"))),
        families={family: Turnover(**numbers((probes, family))) for family in FAMILIES},
        ports={port_of(probe): PortTurnover(**numbers(port_bit(probe))) for probe in family_probes(probes, "tcp")},
    )


def _beyond(targets: int | None, shared: int | None) -> int | None:
    return None if targets is None or shared is None else targets - shared
