"""Transport-layer liveness: the number of ports on which an address answers, and which (Bano et al. 2018, figure 4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.states import Chosen, RunStates
from liveness.analysis.figures import Bars, Figure, Marks, Part
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.numbers import count, named_formulas, percent
from liveness.analysis.tables import PUBLISHED, Cell, Column, Marked, Share, Table
from liveness.reference.bano_2018 import LABEL, PORT_SPLIT, PORTS_ANSWERED, VALUES, words
from liveness.replies import Kind

OF = "transport-active"


@dataclass(frozen=True, slots=True)
class PortsAnswered:
    """Transport-active addresses that answer on a certain number of ports, by what they sent from any of them."""

    syn_ack_only: Annotated[int, Formula("sent SYN-ACK alone, over the union of the ports")]
    rst_only: Annotated[int, Formula("sent RST alone")]
    both: Annotated[int, Formula("sent SYN-ACK and RST")]

    @property
    def total(self) -> int:
        """The number of addresses that answer on this number of ports."""
        return self.syn_ack_only + self.rst_only + self.both


@dataclass(frozen=True, slots=True)
class PortActivity:
    """Addresses by their replies from one port."""

    active: Annotated[int, Formula("SYN-ACK or RST on this port")]
    alive: Annotated[int, Formula("SYN-ACK on this port")]
    exclusive: Annotated[int, Formula("active on this port and no other")]
    syn_ack_only: Annotated[int, Formula("SYN-ACK, no RST, on this port")]
    rst_only: Annotated[int, Formula("RST, no SYN-ACK, on this port")]
    both: Annotated[int, Formula("SYN-ACK and RST on this port")]


@dataclass(frozen=True, slots=True)
class Transport:
    """Transport-layer liveness of a run; keys are numbers of ports, and ports."""

    active: Annotated[int, Formula("SYN-ACK or RST on at least one TCP port")]
    alive: Annotated[int, Formula("SYN-ACK on at least one TCP port")]
    ports_answered: dict[int, PortsAnswered]
    ports: dict[int, PortActivity]


def transport(run: RunStates) -> Transport:
    """Count transport-active addresses, by the number of ports answered and by port."""
    active = {port: run.syn_ack(port) | run.rst(port) for port in run.tcp_ports}
    number = np.sum([np.zeros(len(run.counts), np.int64), *active.values()], axis=0)  # ports on which a state answers
    tcp = run.family_probes("tcp")
    syn_ack, rst = run.sent(tcp, (Kind.SYN_ACK,)), run.sent(tcp, (Kind.RST,))
    return Transport(
        active=run.count(number > 0),
        alive=run.count(syn_ack),
        ports_answered={
            ports: PortsAnswered(**_split(run, syn_ack, rst, number == ports)) for ports in range(1, len(active) + 1)
        },
        ports={port: _port(run, port, chosen, number) for port, chosen in active.items()},
    )


def _port(run: RunStates, port: int, active: Chosen, number: NDArray[np.int64]) -> PortActivity:
    """Count addresses by their replies from one port."""
    syn_ack, rst = run.syn_ack(port), run.rst(port)
    return PortActivity(
        active=run.count(active),
        alive=run.count(syn_ack),
        exclusive=run.count(active & (number == 1)),
        **_split(run, syn_ack, rst, active),
    )


def _split(run: RunStates, syn_ack: Chosen, rst: Chosen, among: Chosen) -> dict[str, int]:
    """Count the chosen states by what they sent."""
    return {
        "syn_ack_only": run.count(among & syn_ack & ~rst),
        "rst_only": run.count(among & rst & ~syn_ack),
        "both": run.count(among & syn_ack & rst),
    }


def _is_comparable(value: Transport) -> bool:
    """Return whether as many ports were probed as in the paper, the condition for comparing bars by port number."""
    return len(value.ports) == len(PORTS_ANSWERED)


def tables(value: Transport, run: RunResults) -> Iterator[Table]:
    """Yield addresses by number of ports answered, by port, and by SYN-ACK and RST on each port."""
    yield _ports_answered_table(value, run)
    yield _ports_table(value, run)
    yield _split_table(value)


def _ports_answered_table(value: Transport, run: RunResults) -> Table:
    rows = [
        (
            str(number),
            split.total,
            run.sampled(split.total, value.active),
            split.syn_ack_only,
            split.rst_only,
            split.both,
            words(f"ports_answered.{number}") if _is_comparable(value) else "",
        )
        for number, split in value.ports_answered.items()
    ]
    return Table(
        "ports_answered",
        "Ports answered (figure 4a)",
        (
            Column("ports"),
            Column("addresses", "addresses"),
            Column("share", "share", OF),
            Column("SYN-ACK only", "addresses"),
            Column("RST only", "addresses"),
            Column("both", "addresses"),
            PUBLISHED,
        ),
        rows,
        [*_notes_answered(value), *named_formulas(formulas(PortsAnswered))],
    )


def _notes_answered(value: Transport) -> list[str]:
    return [
        f"Active (SYN-ACK or RST) on exactly so many of {len(value.ports)} ports.",
        f"Shares of the {count(value.active)} transport-active.",
    ]


def _ports_table(value: Transport, run: RunResults) -> Table:
    wanted = ("active", "alive", "exclusive")
    rows = []
    for port, activity in value.ports.items():
        cells: list[Cell] = [str(port)]
        for name in wanted:
            number: int = getattr(activity, name)
            cells += [number, run.sampled(number, value.active)]
        rows.append((*cells, words(f"ports.{port}.exclusive")))
    columns = [Column("port")]
    for name in wanted:
        columns += [Column(name, "addresses"), Column("share", "share", OF, f"{name} share")]
    return Table(
        "ports",
        "Ports (figure 4b)",
        (*columns, PUBLISHED),
        rows,
        [
            f"Shares of the {count(value.active)} transport-active; {LABEL}: the exclusive share.",
            *named_formulas({name: formulas(PortActivity)[name] for name in wanted}),
        ],
    )


def _split_table(value: Transport) -> Table:
    """Return SYN-ACK and RST on each port, with the paper's counts below those of the run."""
    rows: list[tuple[Cell, ...]] = []
    for port, activity in value.ports.items():
        rows.append(_split_row(str(port), "this run", activity.syn_ack_only, activity.rst_only, activity.both))
        if port in PORT_SPLIT:
            row = _split_row("", LABEL, *PORT_SPLIT[port])
            rows.append(tuple(Marked(cell, "dim") for cell in row))
    wanted = ("syn_ack_only", "rst_only", "both")
    return Table(
        "port_split",
        "SYN-ACK and RST by port",
        (
            Column("port"),
            Column("", key="source"),
            Column("SYN-ACK only", "addresses"),
            Column("RST only", "addresses"),
            Column("both", "addresses"),
            Column("alive / active", "share", "active on the port"),
        ),
        rows,
        [
            *named_formulas({name: formulas(PortActivity)[name] for name in wanted}),
            "alive / active: (SYN-ACK only + both) / (all three).",
            f"{LABEL}: counts of 4 September 2017.",
        ],
    )


def _split_row(port: str, whose: str, syn_ack_only: int, rst_only: int, both: int) -> tuple[str | int | Share, ...]:
    alive = Share.of_counts(syn_ack_only + both, syn_ack_only + rst_only + both)
    return (port, whose, syn_ack_only, rst_only, both, alive)


def figures(value: Transport, run: RunResults) -> Iterator[Figure]:
    """Yield figures 4a and 4b; none if no TCP port was probed."""
    del run
    if value.ports:
        yield _ports_answered_figure(value)
        yield _ports_figure(value)


def _ports_answered_figure(value: Transport) -> Figure:
    answered, whole = value.ports_answered, value.active
    described = ", ".join(f"{number}: {percent(share(split.total, whole))}" for number, split in answered.items())
    marks = []
    if _is_comparable(value):
        shares = {place: VALUES[f"ports_answered.{number}"].value for place, number in enumerate(answered)}
        marks = [Marks("total", shares)]
    return Figure(
        "figure-4a-ports-answered",
        "Ports answered (figure 4a)",
        f"Stacked bars, shares of {count(whole)} transport-active addresses by number of ports answered: {described}.",
        [*_notes_answered(value), *named_formulas(formulas(PortsAnswered))],
        Bars(
            [str(number) for number in answered],
            [
                Part("SYN-ACK only", "green", [share(split.syn_ack_only, whole) for split in answered.values()], True),
                Part("RST only", "orange", [share(split.rst_only, whole) for split in answered.values()]),
                Part("both", "sky", [share(split.both, whole) for split in answered.values()]),
            ],
            x_label=f"ports answered, of {len(value.ports)}",
            y_label=f"share of {count(whole)} transport-active",
            marks=marks,
            top=None,
            at_least=0.30,
        ),
        "ports_answered",
    )


def _ports_figure(value: Transport) -> Figure:
    ports, whole = value.ports, value.active
    described = ", ".join(
        f"{port}: active {percent(share(found.active, whole))}, alive {percent(share(found.alive, whole))},"
        f" exclusive {percent(share(found.exclusive, whole))}"
        for port, found in ports.items()
    )
    known = {place: f"ports.{port}" for place, port in enumerate(ports) if f"ports.{port}.active" in VALUES}
    wanted = ("active", "alive", "exclusive", "rst_only")
    return Figure(
        "figure-4b-ports",
        "Ports (figure 4b)",
        f"Bars, shares of {count(whole)} transport-active addresses by TCP port: {described}.",
        [
            f"Shares of the {count(whole)} transport-active; the two parts of a bar together are active.",
            *named_formulas({name: formulas(PortActivity)[name] for name in wanted}),
            f"{LABEL}: counts of 4 September 2017 over the 262 M transport-active of the 5th.",
        ],
        Bars(
            [str(port) for port in ports],
            [
                Part("alive (SYN-ACK)", "green", [share(found.alive, whole) for found in ports.values()], dark=True),
                Part("RST only", "orange", [share(found.active - found.alive, whole) for found in ports.values()]),
            ],
            x_label="TCP port",
            y_label=f"share of {count(whole)} transport-active",
            marks=[
                Marks("active", {place: VALUES[f"{name}.active"].value for place, name in known.items()}),
                Marks("alive", {place: VALUES[f"{name}.alive"].value for place, name in known.items()}, "^"),
            ],
            side=Part("exclusive", "purple", [share(found.exclusive, whole) for found in ports.values()]),
            top=None,
            at_least=0.75,
            legend_columns=3,
        ),
        "ports",
    )


def comparisons(value: Transport, run: RunResults) -> Iterator[Comparison]:
    """Yield the transport-active share of IPall, and the shares of ports."""
    whole = value.active
    yield Comparison(
        "transport active",
        "transport-active / IPall",
        share(whole, run.ipall),
        VALUES["taxonomy.transport_active.of_ipall"],
    )
    if _is_comparable(value):
        for number, split in value.ports_answered.items():
            published = VALUES[f"ports_answered.{number}"]
            yield Comparison(f"answer on {number} of 5 ports", f"of {OF}", share(split.total, whole), published)
    for port, found in value.ports.items():
        if f"ports.{port}.active" in VALUES:
            for name, number in (("active", found.active), ("alive", found.alive)):
                published = VALUES[f"ports.{port}.{name}"]
                yield Comparison(f"{name} on {port}", f"of {OF}", share(number, whole), published)
            published = VALUES[f"ports.{port}.exclusive"]
            yield Comparison(f"active on {port} alone", f"of {OF}", share(found.exclusive, whole), published)


TRANSPORT = Measure("transport", transport, tables, figures, comparisons)
