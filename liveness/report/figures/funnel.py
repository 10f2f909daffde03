"""Figure 1: the taxonomy of liveness as a funnel, from what was probed to services that are there."""

from typing import Final

from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.taxonomy import Taxonomy
from liveness.report import published
from liveness.report.figures.bars import MARK, published_key
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import BLUE, GREEN, HATCHES, INK, ORANGE, PURPLE, SKY, styled
from liveness.report.layout import count, named_formulas, percent, spoken

COLOURS: Final = (SKY, BLUE, GREEN, ORANGE, PURPLE)
COLUMNS: Final = (("addresses", 0.84), ("of IPall", 1.06), ("of targets", 1.30))
"""Numbers beside the bars: their headings, and where they end to the right."""


def funnel_figure(taxonomy: Taxonomy, targets: int | None, everyone: int) -> Drawing:
    """Draw the layers of liveness, a bar's width its share of IPall (`everyone`); `targets` may not be known."""
    layers = {name: getattr(taxonomy, name) for name in formulas(Taxonomy)}
    with styled():
        figure, axes = panel()
        for place, (name, number) in enumerate(layers.items()):
            width = share(number, everyone) or 0.0
            bar = axes.barh(
                place, width, 0.66, left=-width / 2, color=COLOURS[place], edgecolor=INK, linewidth=0.7,
                hatch=HATCHES[place],
            )  # fmt: skip
            bar.patches[0].set_gid(f"layer:{name}")
            cells = (count(number), percent(share(number, everyone)), percent(share(number, targets or 0)))
            for (_, at), text in zip(COLUMNS, cells, strict=True):
                axes.text(at, place, text, ha="right", va="center", fontsize=8.5)
        for heading, at in COLUMNS:
            axes.text(at, -0.75, heading, ha="right", va="center", fontsize=8.5)
        width = published.ACTIVE_COUNT / published.IPALL_COUNT
        row = list(layers).index("transport_active")
        axes.plot([-width / 2, width / 2], [row, row], marker="D", gid="published", zorder=5, **MARK)
        axes.set_yticks(range(len(layers)), [spoken(name) for name in layers])
        axes.tick_params(length=0)
        axes.set_ylim(len(layers) - 0.4, -1.1)
        axes.set_xlim(-0.53, COLUMNS[-1][1])
        axes.set_xticks([])
        axes.grid(visible=False)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        probed = f"; {count(targets)} targets were probed" if targets else ""
        axes.set_xlabel(f"IPall: {count(everyone)} addresses{probed}")
        axes.legend(handles=[published_key("53.8% of IPall")], loc="lower left", bbox_to_anchor=(-0.02, 0.86))
    told = ", ".join(f"{spoken(name)} {count(number)}" for name, number in layers.items())
    return Drawing(
        name="figure-1-funnel",
        title="Liveness by layer (figure 1)",
        alt=f"A funnel of layers, addresses: {told}. IPall, what any service probe found: {count(everyone)}.",
        notes=[
            f"A bar's width is the layer's share of IPall, {count(everyone)} addresses.",
            "The control counts in network alive alone, which may thus be more.",
            *named_formulas(formulas(Taxonomy)),
        ],
        figure=figure,
    )
