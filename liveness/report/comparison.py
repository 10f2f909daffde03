"""Our numbers beside the published ones, with the difference: what of a run compares with Bano et al. 2018."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from liveness.analysis.counting.run import FAMILIES, family_of
from liveness.analysis.formula import share
from liveness.analysis.results import RunResults
from liveness.report import published
from liveness.report.error_tables import OTHER_UNREACHABLE_GROUPS, is_other_unreachable
from liveness.report.layout import ABSENT, Section, percent, seconds, signed

PAPER_PORTS = 5
"""The paper's numbers of ports answered compare with ours only where as many ports were probed."""


@dataclass(frozen=True, slots=True)
class Beside:
    """One number of a run and the published one, which may be a range; `high` is None where its end is open."""

    name: str
    formula: str
    ours: float | None
    low: float
    high: float | None
    unit: Literal["share", "seconds"] = "share"

    @property
    def difference(self) -> float | None:
        """How far ours is from what was published: 0 within its range, and negative below it."""
        if self.ours is None:
            return None
        if self.ours < self.low:
            return self.ours - self.low
        return self.ours - self.high if self.high is not None and self.ours > self.high else 0.0


def beside(run: RunResults) -> Iterator[Beside]:
    """Yield every number of a run that the paper has too, in its order."""
    everyone = run.addresses.all
    if run.targets is not None:
        yield _exact(
            "IPall", "IPall / targets", share(everyone, run.targets), published.IPALL_COUNT / published.TARGETS_COUNT
        )
    for (family, what), value in published.COVERAGE_SHARES.items():
        number: int = getattr(run.addresses.families[family], what)
        yield _exact(f"{family.upper()}, {what}", f"{what} / IPall", share(number, everyone), value)
    for (family, what), value in published.COVERAGE_24_SHARES.items():
        number = getattr(run.prefixes24.families[family], what)
        yield _exact(f"{family.upper()} /24s, {what}", f"{what} / /24all", share(number, run.prefixes24.all), value)
    only = run.error_only
    yield _exact("error-only", "error-only / IPall", share(only.all, everyone), published.ERROR_ONLY_SHARES["all"])
    for family in FAMILIES:
        value = published.ERROR_ONLY_SHARES[family]
        yield _exact(
            f"error-only, seen by {family.upper()}", "of the error-only", share(only.families[family], only.all), value
        )
    if run.within is None:
        yield from _codes(run)
    yield from _transport(run)
    yield from _joint(run)
    yield from _gains_and_lag(run)


def beside_table(run: RunResults) -> Section:
    """Return all of them in one table."""
    rows = [
        (one.name, one.formula, _value(one.ours, one.unit), _published(one), _difference(one)) for one in beside(run)
    ]
    return Section(
        "Beside Bano et al. 2018",
        ("result", "formula", "this run", published.LABEL, "difference"),
        rows,
        [
            "The paper's census is that of 5 September 2017; numbers of /24s and ports are those of the 4th.",
            "Differences in percentage points (pp) or time; 0 where ours lies within what the paper tells.",
        ],
        text_columns=frozenset({0, 1}),
    )


def _exact(name: str, formula: str, ours: float | None, theirs: float) -> Beside:
    return Beside(name, formula, ours, theirs, theirs)


def _codes(run: RunResults) -> Iterator[Beside]:
    """Yield the codes inside other-unreachable, of messages to TCP and UDP probes together, as the paper has them."""
    counts: dict[str, int] = {}
    for family in ("tcp", "udp"):
        for label, number in run.error_messages[family].items():
            if is_other_unreachable(label):
                counts[label] = counts.get(label, 0) + number
    for name, labels in OTHER_UNREACHABLE_GROUPS.items():
        part = sum(counts.get(label, 0) for label in labels)
        yield _exact(
            f"code {name} inside other-unreachable",
            "of messages to TCP and UDP probes",
            share(part, sum(counts.values())),
            published.OTHER_UNREACHABLE_SHARES[name],
        )


def _transport(run: RunResults) -> Iterator[Beside]:
    """Yield what TCP ports show, and tarpits."""
    transport, whole = run.transport, run.transport.active
    yield _exact(
        "transport active",
        "transport-active / IPall",
        share(whole, run.addresses.all),
        published.ACTIVE_COUNT / published.IPALL_COUNT,
    )
    if len(transport.ports) == PAPER_PORTS:
        for number, value in published.PORTS_ANSWERED_SHARES.items():
            ours = share(transport.ports_answered[number].total, whole)
            yield _exact(f"answer on {number} of 5 ports", "of transport-active", ours, value)
    for port, one in transport.ports.items():
        if port in published.PORT_SHARES:
            active, alive = published.PORT_SHARES[port]
            yield _exact(f"active on {port}", "of transport-active", share(one.active, whole), active)
            yield _exact(f"alive on {port}", "of transport-active", share(one.alive, whole), alive)
            low, high = published.PORT_EXCLUSIVE_SHARES[port]
            yield Beside(f"active on {port} alone", "of transport-active", share(one.exclusive, whole), low, high)
    tarpits = run.tarpits
    if tarpits.confirmed is not None:
        ours = share(tarpits.confirmed, tarpits.candidates)
        yield _exact("tarpits confirmed", "of candidates", ours, published.CONFIRMED_SHARE)
    for port, inflation in tarpits.inflation.items():
        if port in published.INFLATION_SHARES:
            low, high = published.INFLATION_SHARES[port]
            yield Beside(
                f"inflation of {port} by tarpits", "candidates / (alive - candidates)", inflation.over_rest, low, high
            )


def _joint(run: RunResults) -> Iterator[Beside]:
    """Yield the numbers of figure 5 that the paper's text names."""
    matrix = run.conditional.replies
    for family, value in published.NOT_BY_ICMP_SHARES.items():
        known = [matrix[probe].get("icmp") for probe in matrix if family_of(probe) == family]
        missed = [1 - seen for seen in known if seen is not None]
        mean = sum(missed) / len(missed) if missed else None
        yield _exact(f"{family.upper()} not seen by ICMP", "mean of 1 - P(echo reply | X)", mean, value)
    for (given, probe), (low, high) in published.CONDITIONAL_SHARES.items():
        if given in matrix and probe in matrix:
            yield Beside(f"{probe} given {given}", "P(Y | X) by replies", matrix[given][probe], low, high)


def _gains_and_lag(run: RunResults) -> Iterator[Beside]:
    """Yield what the method adds, and the lag."""
    gains, low_high = run.gains, published.GAIN_NEGATIVE_SHARE
    yield _exact(
        "gain of TCP and UDP", "(unique TCP + unique UDP) / IPall", gains.tcp_udp_over_icmp.of_all,
        published.GAIN_TCP_UDP_SHARE,
    )  # fmt: skip
    negative = gains.negative
    yield Beside("gain of negative replies", "(IPall - positive) / positive", negative.over_positive, *low_high)
    yield Beside("gain of negative replies", "(IPall - positive) / IPall", negative.of_all, *low_high)
    for probe, value in published.GAIN_RETRANSMIT_SHARES.items():
        if probe in gains.retransmit:
            yield _exact(f"gain of repeats, {probe}", "recovered / first", gains.retransmit[probe].gain, value)
    lag = run.manifest.lag
    if run.within is None and lag.max_s is not None:
        theirs = published.LAG_SECONDS
        yield Beside("lag between probes, at most", "by target", lag.max_s, theirs["max_s"], theirs["max_s"], "seconds")
        yield Beside("lag, 80% within", "by target", lag.p80_s, theirs["p80_s"], theirs["p80_s"], "seconds")


def _value(number: float | None, unit: str) -> str:
    return percent(number) if unit == "share" else seconds(number)


def _published(one: Beside) -> str:
    """Return what was published, as a range where it is one."""
    low = _value(one.low, one.unit)
    if one.high is None:
        return f"more than {low}"
    return low if one.high == one.low else f"{low} to {_value(one.high, one.unit)}"


def _difference(one: Beside) -> str:
    """Return the difference with its sign."""
    difference = one.difference
    if difference is None:
        return ABSENT
    if difference == 0:
        return "0"
    if one.unit == "seconds":
        return ("-" if difference < 0 else "+") + seconds(abs(difference))
    return f"{signed(100 * difference)} pp"
