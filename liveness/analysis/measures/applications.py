"""Applications of TCP: from the SYN-ACK of a port to data of its protocol, for runs that talked to services."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.numbers import in_words, named_formulas
from liveness.analysis.tables import Column, Table
from liveness.applications.registry import ENTRIES
from liveness.reference.izhikevich_2021 import FULL_SCANS, LABEL
from liveness.replies import Kind


@dataclass(frozen=True, slots=True)
class PortTalks:
    """Addresses with a SYN-ACK on one port, by the outcome of the talk."""

    syn_ack: Annotated[int, Formula("SYN-ACK on this port")]
    zero_window: Annotated[int, Formula("a SYN-ACK that allows no data")]
    closed: Annotated[int, Formula("an RST or FIN after our request, and no data")]
    mute: Annotated[int, Formula("nothing after our request and its repeat")]
    acked: Annotated[int, Formula("an acknowledgment of the request, and no data")]
    payload: Annotated[int, Formula("data of another protocol")]
    answer: Annotated[int, Formula("data of the port's protocol")]


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
    return PortTalks(**counts)


def tables(value: Applications | None, run: RunResults) -> Iterator[Table]:
    """Yield the outcomes of each port, with published values; nothing if nobody was talked to."""
    if value is None:
        return
    names = list(formulas(PortTalks))
    rows = []
    for port, talks in value.items():
        published = FULL_SCANS.get(port)
        spoke = run.sampled(talks.answer, talks.syn_ack)
        outcomes = [getattr(talks, name) for name in names]
        rows.append((str(port), *outcomes, spoke, published.words if published else ""))
    yield Table(
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
            f"{LABEL}: shares of the SYN-ACKs in full scans of June 2020 (Izhikevich et al., table 4).",
            *named_formulas(formulas(PortTalks)),
            *run.sampling_notes(),
        ],
    )


APPLICATIONS = Measure("applications", applications, tables)
