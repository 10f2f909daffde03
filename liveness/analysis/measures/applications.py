"""Applications of TCP: from the SYN-ACK of a port to data of its protocol, for runs that talked to services."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import UNSET

from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Figure, Funnels
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.numbers import count, in_words, named_formulas, percent
from liveness.analysis.tables import Cell, Column, Share, Table
from liveness.applications.registry import ENTRIES, protocol_at
from liveness.reference.izhikevich_2021 import FULL_SCANS, LABEL
from liveness.replies import Kind

SOURCE: Final = f"{LABEL}: shares of the SYN-ACKs in full scans of June 2020 (Izhikevich et al., table 4)."
SOURCE_OF_EXPECTED: Final = f"{LABEL}: those that spoke the port's protocol, of those that spoke one that LZR knows."


@dataclass(frozen=True, slots=True)
class PortTalks:
    """Addresses with a SYN-ACK on one port, by the outcome of the talk."""

    syn_ack: Annotated[int, Formula("SYN-ACK on this port")]
    zero_window: Annotated[int, Formula("a SYN-ACK that allows no data")]
    closed: Annotated[int, Formula("an RST or FIN after our request, and no data")]
    mute: Annotated[int, Formula("nothing after our request and its repeat")]
    acked: Annotated[int, Formula("an acknowledgment of the request, and no data")]
    payload: Annotated[int, Formula("other data")]
    answer: Annotated[int, Formula("data of the port's protocol")]
    protocols: Mapping[str, int] | None = None
    """Addresses of `payload` and `answer` by protocol; None if that is not known, as for a part of the targets."""

    @property
    def stages(self) -> tuple[int, ...]:
        """The numbers of addresses at the STAGES of the funnel."""
        speaks = self.payload + self.answer
        return self.syn_ack, self.acked + speaks, speaks, self.answer


STAGES: Final = {
    "SYN-ACK": "a SYN-ACK on this port",
    "acknowledges": "acked, payload or answer; on ports where the server speaks first, payload or answer",
    "speaks": "payload or answer",
    "speaks the protocol": "answer",
}
"""The stages of the funnel of a port, with their formulas."""

Applications = dict[int, PortTalks]


def talked_probes(run: RunStates) -> tuple[str, ...]:
    """Return the probes whose services a run talked to, in the order of its config; none without applications."""
    recorded = run.manifest.config.get("applications")
    chosen = recorded if isinstance(recorded, list) else ()
    wanted = {entry.probe for entry in ENTRIES if entry.name in chosen}
    return tuple(probe for probe in run.family_probes("tcp") if probe in wanted)


def applications(run: RunStates) -> Applications | None:
    """Count the addresses of each port by the outcome of talks; None if the run talked to nobody."""
    probes = talked_probes(run)
    if not probes:
        return None
    return {int(probe.removeprefix("tcp/")): _port(run, probe) for probe in probes}


def _port(run: RunStates, probe: str) -> PortTalks:
    counts = {name: run.count(run.sent((probe,), (Kind[name.upper()],))) for name in formulas(PortTalks)}
    recorded = run.manifest.protocols
    known = run.within is None and recorded is not UNSET
    return PortTalks(**counts, protocols=recorded.get(probe, {}) if known and recorded is not UNSET else None)


def tables(value: Applications | None, run: RunResults) -> Iterator[Table]:
    """Yield the outcomes of each port, with published values; nothing if nobody was talked to."""
    if value is None:
        return
    names = list(formulas(PortTalks))
    rows: list[tuple[Cell, ...]] = []
    for port, talks in value.items():
        published = FULL_SCANS.get(port)
        spoke = run.sampled(talks.answer, talks.syn_ack)
        outcomes = [getattr(talks, name) for name in names]
        rows.append((str(port), *outcomes, spoke, published.words if published else ""))
    yield _outcomes(rows, names, run)
    yield _funnel_table(value, run)
    if any(talks.protocols is not None for talks in value.values()):
        yield _protocol_table(value, run)


def _outcomes(rows: list[tuple[Cell, ...]], names: list[str], run: RunResults) -> Table:
    return Table(
        "applications",
        "Applications of TCP",
        (
            Column("port"),
            *(Column(in_words(name), "addresses") for name in names),
            Column("answer / SYN-ACK", "share", "SYN-ACK"),
            Column(LABEL),
        ),
        rows,
        [
            SOURCE,
            *named_formulas(formulas(PortTalks)),
            *run.sampling_notes(),
        ],
    )


def _published(port: int) -> tuple[float, ...]:
    """Return LZR's shares of a port's SYN-ACKs at the STAGES after the first; empty if it gives none."""
    known = FULL_SCANS.get(port)
    return (known.acknowledges, known.speaks, known.speaks_protocol) if known else ()


def _funnel_table(value: Applications, run: RunResults) -> Table:
    """Return a row for each port and stage of its funnel, with the published share."""
    rows: list[tuple[Cell, ...]] = []
    for port, talks in value.items():
        published = (None, *(_published(port) or [None] * (len(STAGES) - 1)))
        for stage, number, theirs in zip(STAGES, talks.stages, published, strict=True):
            lzr = None if theirs is None else Share(theirs)
            rows.append((str(port), stage, number, run.sampled(number, talks.syn_ack), lzr))
    columns = (
        Column("port"),
        Column("stage"),
        Column("addresses", "addresses"),
        Column("/ SYN-ACK", "share", "SYN-ACK", "share of SYN-ACK"),
        Column(LABEL, "share", "SYN-ACK", "published"),
    )
    notes = [SOURCE, *named_formulas(STAGES), *run.sampling_notes()]
    return Table("applications_funnel", "From the SYN-ACK to the protocol, by port", columns, rows, notes)


def _protocol_table(value: Applications, run: RunResults) -> Table:
    """Return a row for each port and protocol that is spoken on it, the most frequent first."""
    rows: list[tuple[Cell, ...]] = []
    for port, talks in value.items():
        own, published = protocol_at(f"tcp/{port}"), FULL_SCANS.get(port)
        spoken = sum((talks.protocols or {}).values())
        for name, number in (talks.protocols or {}).items():
            lzr = Share(published.expected_share) if published and name == own else None
            rows.append((str(port), name, number, run.sampled(number, spoken), lzr))
    columns = (
        Column("port"),
        Column("protocol"),
        Column("addresses", "addresses"),
        Column("/ speaks", "share", "speaks", "share of speaks"),
        Column(LABEL, "share", "speaks", "published"),
    )
    notes = [
        "Addresses that sent data, by its protocol as its first bytes show it; opted-out ones are included.",
        SOURCE_OF_EXPECTED,
        *run.sampling_notes(),
    ]
    return Table("applications_protocols", "Who speaks, by port", columns, rows, notes)


def document(value: Applications | None) -> object:
    """Return the outcomes of each port as JSON types, with the protocols where they are known."""
    if value is None:
        return None
    return {
        str(port): {name: getattr(talks, name) for name in formulas(PortTalks)}
        | ({} if talks.protocols is None else {"protocols": dict(talks.protocols)})
        for port, talks in value.items()
    }


def figures(value: Applications | None, run: RunResults) -> Iterator[Figure]:
    """Yield the funnels of all ports; nothing if nobody was talked to."""
    del run
    if value is None:
        return
    ports = list(value)
    shares = {
        stage: [share(talks.stages[place], talks.syn_ack) for talks in value.values()]
        for place, stage in enumerate(STAGES)
    }
    published = {
        stage: {at: _published(port)[place] for at, port in enumerate(ports) if _published(port)}
        for place, stage in enumerate([*STAGES][1:])
    }
    described = "; ".join(
        f"port {port}: {count(talks.syn_ack)} SYN-ACK, "
        + ", ".join(f"{percent(shares[stage][at])} {stage}" for stage in [*STAGES][1:])
        for at, (port, talks) in enumerate(value.items())
    )
    yield Figure(
        "applications-funnel",
        "From the SYN-ACK to the protocol, by port",
        f"Bars for each port, as shares of the addresses that sent a SYN-ACK on it. {described}.",
        ["Shares of the addresses that sent a SYN-ACK on the port.", SOURCE, *named_formulas(STAGES)],
        Funnels(
            groups=[f"{port}\n{count(talks.syn_ack)}" for port, talks in value.items()],
            stages=shares,
            published=published,
            published_name=LABEL,
            x_label="TCP port, and addresses that sent a SYN-ACK on it",
            y_label="share of these addresses",
        ),
        "applications_funnel",
    )


APPLICATIONS = Measure("applications", applications, tables, figures, document=document)
