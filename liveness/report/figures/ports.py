"""Figures 4a and 4b: on how many TCP ports addresses answer, and what each port shows."""

from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.transport import PortActivity, PortsAnswered, Transport
from liveness.report import published
from liveness.report.figures.bars import BAR_WIDTH, Part, legend, published_key, published_marks, stacked
from liveness.report.figures.drawing import WIDTH_IN, Drawing, panel
from liveness.report.figures.style import GREEN, INK, ORANGE, PURPLE, SKY, styled
from liveness.report.layout import count, named_formulas, percent

PAPER_PORTS = 5
PORTS_A_WIDTH = 9
"""So many bars fit the usual width; more make a figure wider."""


def ports_answered_figure(transport: Transport) -> Drawing:
    """Draw transport-active addresses by the number of ports they answer on, and by what they sent (figure 4a)."""
    answered = transport.ports_answered
    whole = transport.active
    with styled():
        figure, axes = panel(_width(len(answered)))
        stacked(
            axes,
            [str(number) for number in answered],
            [
                Part("SYN-ACK only", GREEN, [share(one.syn_ack_only, whole) for one in answered.values()], dark=True),
                Part("RST only", ORANGE, [share(one.rst_only, whole) for one in answered.values()]),
                Part("both", SKY, [share(one.both, whole) for one in answered.values()]),
            ],
            top=_top([share(one.total, whole) or 0.0 for one in answered.values()], 0.30),
        )
        keys = []
        if len(transport.ports) == PAPER_PORTS:
            shares = published.PORTS_ANSWERED_SHARES
            published_marks(axes, {place: shares[number] for place, number in enumerate(answered)})
            keys = [published_key("total")]
        axes.set_xlabel(f"ports answered, of {len(transport.ports)}")
        axes.set_ylabel(f"share of {count(whole)} transport-active")
        legend(axes, *keys)
    told = ", ".join(f"{number}: {percent(share(one.total, whole))}" for number, one in answered.items())
    return Drawing(
        name="figure-4a-ports-answered",
        title="Ports answered (figure 4a)",
        alt=f"Stacked bars, shares of {count(whole)} transport-active addresses by number of ports answered: {told}.",
        notes=[
            f"Active (SYN-ACK or RST) on exactly so many of {len(transport.ports)} ports.",
            f"Shares of the {count(whole)} transport-active.",
            *named_formulas(formulas(PortsAnswered)),
        ],
        figure=figure,
    )


def ports_figure(transport: Transport) -> Drawing:
    """Draw what each port shows: active in its alive and RST parts, and beside it who is active there alone (4b)."""
    ports, whole = transport.ports, transport.active
    with styled():
        figure, axes = panel(_width(len(ports)))
        stacked(
            axes,
            [str(port) for port in ports],
            [
                Part("alive (SYN-ACK)", GREEN, [share(one.alive, whole) for one in ports.values()], dark=True),
                Part("RST only", ORANGE, [share(one.active - one.alive, whole) for one in ports.values()]),
            ],
            top=_top([share(one.active, whole) or 0.0 for one in ports.values()], 0.75),
        )
        for place, (port, one) in enumerate(ports.items()):
            exclusive = axes.bar(
                place + BAR_WIDTH / 2 + 0.08,
                share(one.exclusive, whole) or 0.0,
                0.16,
                color=PURPLE,
                edgecolor=INK,
                linewidth=0.7,
                hatch="xxxx",
                label="exclusive" if place == 0 else None,
            )
            exclusive.patches[0].set_gid(f"exclusive:{port}")
        known = {
            place: published.PORT_SHARES[port] for place, port in enumerate(ports) if port in published.PORT_SHARES
        }
        published_marks(axes, {place: active for place, (active, _) in known.items()})
        published_marks(axes, {place: alive for place, (_, alive) in known.items()}, marker="^")
        axes.set_xlabel("TCP port")
        axes.set_ylabel(f"share of {count(whole)} transport-active")
        legend(axes, published_key("active"), published_key("alive", "^"), columns=3)
    told = ", ".join(
        f"{port}: active {percent(share(one.active, whole))}, alive {percent(share(one.alive, whole))},"
        f" exclusive {percent(share(one.exclusive, whole))}"
        for port, one in ports.items()
    )
    wanted = ("active", "alive", "exclusive", "rst_only")
    return Drawing(
        name="figure-4b-ports",
        title="Ports (figure 4b)",
        alt=f"Bars, shares of {count(whole)} transport-active addresses by TCP port: {told}.",
        notes=[
            f"Shares of the {count(whole)} transport-active; the two parts of a bar together are active.",
            *named_formulas({name: formulas(PortActivity)[name] for name in wanted}),
            f"{published.LABEL}: counts of 4 September 2017 over the 262 M transport-active of the 5th.",
        ],
        figure=figure,
    )


def _width(bars: int) -> float:
    return WIDTH_IN * max(1.0, bars / PORTS_A_WIDTH)


def _top(totals: list[float], published_top: float) -> float:
    """Return the upper end of the axis: above all bars and all published values."""
    return min(1.04, 1.12 * max(*totals, published_top, 0.0))
