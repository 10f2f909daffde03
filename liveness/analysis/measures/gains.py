"""Gains of the method: TCP and UDP probes, negative replies, repeats (Bano et al. 2018, sections 1, 3 and 4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.measures.coverage import COVERAGE
from liveness.analysis.numbers import named_formulas
from liveness.analysis.tables import PUBLISHED, Column, Share, Table
from liveness.reference.bano_2018 import VALUES, words
from liveness.replies import POSITIVE


@dataclass(frozen=True, slots=True)
class ProbeGain:
    """Addresses that TCP and UDP probes add to those of ICMP."""

    of_all: Annotated[float | None, Formula("(unique TCP + unique UDP) / IPall")]
    over_icmp: Annotated[float | None, Formula("(unique TCP + unique UDP) / ICMP_nw")]


@dataclass(frozen=True, slots=True)
class NegativeGain:
    """Addresses that RSTs and ICMP errors add to positive replies; the paper does not name the denominator."""

    over_positive: Annotated[
        float | None, Formula("(IPall - positive) / positive; positive: echo reply, SYN-ACK, valid answer")
    ]
    of_all: Annotated[float | None, Formula("(IPall - positive) / IPall")]


@dataclass(frozen=True, slots=True)
class RetransmitGain:
    """Targets that repeats of one probe add; the paper counts echo replies."""

    first: Annotated[int, Formula("targets with a positive reply to the first attempt")]
    recovered: Annotated[int, Formula("targets with positive replies to repeats alone")]
    gain: Annotated[float | None, Formula("recovered / first")]


@dataclass(frozen=True, slots=True)
class Gains:
    """All three gains; `retransmit` by probe, including the control probe, only for whole runs, which count it."""

    tcp_udp_over_icmp: ProbeGain
    negative: NegativeGain
    retransmit: dict[str, RetransmitGain]


def gains(run: RunStates) -> Gains:
    """Compute the gains of a run from its sets, its address coverage and its counts of attempts."""
    coverage = run.value(COVERAGE.id, COVERAGE.compute).addresses
    added = coverage.families["tcp"].unique + coverage.families["udp"].unique
    all_addresses = run.all_addresses()
    positive = run.sent(run.probes, POSITIVE)
    negative = run.count(all_addresses & ~positive)
    return Gains(
        tcp_udp_over_icmp=ProbeGain(
            of_all=share(added, coverage.all), over_icmp=share(added, coverage.families["icmp"].total)
        ),
        negative=NegativeGain(
            over_positive=share(negative, run.count(positive)), of_all=share(negative, run.count(all_addresses))
        ),
        retransmit={probe: _retransmit(run, probe) for probe in run.manifest.probes if run.within is None},
    )


def _retransmit(run: RunStates, probe: str) -> RetransmitGain:
    """Count by the first digit of each pattern of attempts: 1 means that the first attempt was answered."""
    counts = run.manifest.found_by_attempts(probe)
    first = sum(targets for pattern, targets in counts.items() if pattern.startswith("1"))
    recovered = sum(targets for pattern, targets in counts.items() if pattern.startswith("0"))
    return RetransmitGain(first=first, recovered=recovered, gain=share(recovered, first))


def tables(value: Gains, run: RunResults) -> Iterator[Table]:
    """Yield the gains of TCP and UDP probes and of negative replies in both readings, and those of repeats."""
    probes, negative = value.tcp_udp_over_icmp, value.negative
    by_probe, by_sign = formulas(ProbeGain), formulas(NegativeGain)
    yield Table(
        "gains",
        "Gains (sections 1 and 4)",
        (Column("of"), Column("formula"), Column("share", "share", "see the formula"), PUBLISHED),
        [
            ("TCP and UDP probes", by_probe["of_all"], Share(probes.of_all), words("gains.tcp_udp")),
            ("", by_probe["over_icmp"], Share(probes.over_icmp), ""),
            ("negative replies", by_sign["over_positive"], Share(negative.over_positive), words("gains.negative")),
            ("", by_sign["of_all"], Share(negative.of_all), words("gains.negative")),
        ],
        ["The wording of the paper admits both readings of each; its 18% are 16% + 2% of IPall."],
    )
    if run.within is not None:
        return
    attempts = max((len(counts.sent) for counts in run.manifest.probes.values()), default=0)
    yield Table(
        "retransmit",
        "Recovered by retransmission (section 3)",
        (
            Column("probe"),
            Column("first", "targets"),
            Column("recovered", "targets"),
            Column("gain", "share", "first"),
            PUBLISHED,
        ),
        [
            (
                probe,
                gain.first,
                gain.recovered,
                Share(gain.gain, gain.recovered, gain.first),
                words(f"retransmit.{probe}"),
            )
            for probe, gain in value.retransmit.items()
        ],
        [
            *named_formulas(formulas(RetransmitGain)),
            "By the attempt each reply proves, in one pass."
            if attempts > 1
            else "Every target was probed once: there was nothing to recover.",
        ],
    )


def comparisons(value: Gains, run: RunResults) -> Iterator[Comparison]:
    """Yield the gains of TCP and UDP probes, negative replies and repeats."""
    del run
    yield Comparison(
        "gain of TCP and UDP",
        "(unique TCP + unique UDP) / IPall",
        value.tcp_udp_over_icmp.of_all,
        VALUES["gains.tcp_udp"],
    )
    for formula, ours in (
        ("(IPall - positive) / positive", value.negative.over_positive),
        ("(IPall - positive) / IPall", value.negative.of_all),
    ):
        yield Comparison("gain of negative replies", formula, ours, VALUES["gains.negative"])
    for probe, gain in value.retransmit.items():
        if f"retransmit.{probe}" in VALUES:
            yield Comparison(f"gain of repeats, {probe}", "recovered / first", gain.gain, VALUES[f"retransmit.{probe}"])


GAINS = Measure("gains", gains, tables, comparisons=comparisons)
