"""Tables of transport-layer liveness: ports answered, each port, and the tarpits that inflate them."""

from rich.text import Text

from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.tarpits import FEWEST_PORTS, Inflation, Tarpits
from liveness.analysis.measures.transport import PortActivity, PortsAnswered, Transport
from liveness.report import published
from liveness.report.layout import ABSENT, Cell, Section, count, named_formulas, percent

PAPER_PORTS = 5
"""The paper's bars of ports answered compare with ours only where as many ports were probed."""


def ports_answered_table(transport: Transport) -> Section:
    """Return transport-active addresses by the number of ports they answer on (figure 4a)."""
    comparable = len(transport.ports) == PAPER_PORTS
    rows = [
        (
            str(number),
            count(split.total),
            percent(share(split.total, transport.active)),
            count(split.syn_ack_only),
            count(split.rst_only),
            count(split.both),
            published.PORTS_ANSWERED[number] if comparable else "",
        )
        for number, split in transport.ports_answered.items()
    ]
    return Section(
        "Ports answered (figure 4a)",
        ("ports", "addresses", "share", "SYN-ACK only", "RST only", "both", published.LABEL),
        rows,
        [
            f"Active (SYN-ACK or RST) on exactly so many of {len(transport.ports)} ports.",
            f"Shares of the {count(transport.active)} transport-active.",
            *named_formulas(formulas(PortsAnswered)),
        ],
    )


def ports_table(transport: Transport) -> Section:
    """Return what each port shows, as shares of transport-active (figure 4b)."""
    rows = []
    for port, activity in transport.ports.items():
        cells = [str(port)]
        for number in (activity.active, activity.alive, activity.exclusive):
            cells += [count(number), percent(share(number, transport.active))]
        rows.append((*cells, published.PORT_EXCLUSIVE.get(port, "")))
    wanted = ("active", "alive", "exclusive")
    return Section(
        "Ports (figure 4b)",
        ("port", "active", "share", "alive", "share", "exclusive", "share", published.LABEL),
        rows,
        [
            f"Shares of the {count(transport.active)} transport-active; {published.LABEL}: the exclusive share.",
            *named_formulas({name: formulas(PortActivity)[name] for name in wanted}),
        ],
    )


def port_split_table(transport: Transport) -> Section:
    """Return SYN-ACK against RST on each port, the paper's counts below ours."""
    rows: list[tuple[Cell, ...]] = []
    for port, activity in transport.ports.items():
        rows.append(_split_row(str(port), "this run", activity.syn_ack_only, activity.rst_only, activity.both))
        if port in published.PORT_SPLIT:
            row = _split_row("", published.LABEL, *published.PORT_SPLIT[port])
            rows.append(tuple(Text(cell, style="dim") for cell in row))
    wanted = ("syn_ack_only", "rst_only", "both")
    return Section(
        "SYN-ACK and RST by port",
        ("port", "", "SYN-ACK only", "RST only", "both", "alive / active"),
        rows,
        [
            *named_formulas({name: formulas(PortActivity)[name] for name in wanted}),
            "alive / active: (SYN-ACK only + both) / (all three).",
            f"{published.LABEL}: counts of 4 September 2017.",
        ],
        text_columns=frozenset({0, 1}),
    )


def _split_row(port: str, whose: str, syn_ack_only: int, rst_only: int, both: int) -> tuple[str, ...]:
    """Return one row of the split, ours or the paper's."""
    alive = share(syn_ack_only + both, syn_ack_only + rst_only + both)
    return (port, whose, count(syn_ack_only), count(rst_only), count(both), percent(alive))


def tarpits_table(tarpits: Tarpits, control_port: int | None) -> Section:
    """Return tarpit candidates, how many the control confirmed, and the inflation of each port (section 4.2)."""
    confirmed = ABSENT if tarpits.confirmed is None else percent(share(tarpits.confirmed, tarpits.candidates))
    rows = [
        ("candidates", count(tarpits.candidates), "", published.TARPITS["candidates"]),
        ("confirmed", count(tarpits.confirmed), f"{confirmed} of candidates", published.TARPITS["confirmed"]),
    ]
    notes = named_formulas({name: text for name, text in formulas(Tarpits).items() if name != "inflation"})
    if len(tarpits.inflation) < FEWEST_PORTS:
        notes.append(
            "Fewer than two TCP ports were probed: every open port would look like a tarpit, so none is counted."
        )
    if tarpits.confirmed is None:
        notes.append("No control port was probed: nothing could be confirmed.")
    elif control_port is not None:
        notes.append(f"The control port of this run was {control_port}.")
    return Section("Tarpits (section 4.2)", ("", "addresses", "share", published.LABEL), rows, notes)


def inflation_table(tarpits: Tarpits) -> Section:
    """Return how much tarpits inflate each port's alive population, in both readings of the paper."""
    rows = [
        (str(port), percent(inflation.over_rest), percent(inflation.over_alive), published.INFLATION.get(port, ""))
        for port, inflation in tarpits.inflation.items()
    ]
    return Section(
        "Inflation by tarpits (section 4.2)",
        ("port", "over the rest", "over alive", published.LABEL),
        rows,
        named_formulas(formulas(Inflation)),
    )
