"""What the method adds: TCP and UDP probes, negative replies, repeats (Bano et al. 2018, sections 1, 3 and 4)."""

from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, share
from liveness.analysis.measures.coverage import Coverage
from liveness.replies import POSITIVE


@dataclass(frozen=True, slots=True)
class ProbeGain:
    """What TCP and UDP probes add to ICMP."""

    of_all: Annotated[float | None, Formula("(unique TCP + unique UDP) / IPall")]
    over_icmp: Annotated[float | None, Formula("(unique TCP + unique UDP) / ICMP_nw")]


@dataclass(frozen=True, slots=True)
class NegativeGain:
    """What RSTs and ICMP errors add to positive replies; the paper does not say over which denominator."""

    over_positive: Annotated[
        float | None, Formula("(IPall - positive) / positive; positive: echo reply, SYN-ACK, valid answer")
    ]
    of_all: Annotated[float | None, Formula("(IPall - positive) / IPall")]


@dataclass(frozen=True, slots=True)
class RetransmitGain:
    """What repeats add to one probe, in targets that it found: the paper counts echo replies."""

    first: Annotated[int, Formula("targets with a positive reply to the first attempt")]
    recovered: Annotated[int, Formula("targets with positive replies to repeats alone")]
    gain: Annotated[float | None, Formula("recovered / first")]


@dataclass(frozen=True, slots=True)
class Gains:
    """All three gains; `retransmit` by probe, control included, for whole runs alone: they count it as a whole."""

    tcp_udp_over_icmp: ProbeGain
    negative: NegativeGain
    retransmit: dict[str, RetransmitGain]


def gains(run: RunStates, coverage: Coverage) -> Gains:
    """Compute the gains of a run from its sets, its address coverage and its counts of attempts."""
    added = coverage.families["tcp"].unique + coverage.families["udp"].unique
    everyone = run.all_addresses()
    positive = run.sent(run.probes, POSITIVE)
    negative = run.count(everyone & ~positive)
    return Gains(
        tcp_udp_over_icmp=ProbeGain(
            of_all=share(added, coverage.all), over_icmp=share(added, coverage.families["icmp"].total)
        ),
        negative=NegativeGain(
            over_positive=share(negative, run.count(positive)), of_all=share(negative, run.count(everyone))
        ),
        retransmit={probe: _retransmit(run, probe) for probe in run.manifest.probes if run.within is None},
    )


def _retransmit(run: RunStates, probe: str) -> RetransmitGain:
    """Count by the first digit of each pattern of attempts: 1, and the first attempt was answered."""
    counts = run.manifest.found_by_attempts(probe)
    first = sum(targets for pattern, targets in counts.items() if pattern.startswith("1"))
    recovered = sum(targets for pattern, targets in counts.items() if pattern.startswith("0"))
    return RetransmitGain(first=first, recovered=recovered, gain=share(recovered, first))
