"""Bars of the three families, each divided into parts, as in figures 3a and 3b."""

from collections.abc import Mapping

from liveness.analysis.figures import Bars, Colour, Part
from liveness.analysis.formula import share
from liveness.analysis.numbers import count, in_words, percent
from liveness.reference.bano_2018 import LABEL, starting

Numbers = Mapping[str, Mapping[str, int]]
"""Numbers by family and part."""

DARK: tuple[Colour, ...] = ("blue", "red", "green")
"""Parts on which numbers are written in white."""


def bars_of_families(
    measure: str, numbers: Numbers, totals: Mapping[str, int], colours: Mapping[str, Colour], axis: str
) -> Bars:
    """Return a bar for each family with parts as shares of its total; published values in words are below the bars."""
    published = "   ".join(f"{family.upper()}: {value.words}" for family, value in starting(measure).items())
    return Bars(
        [f"{family.upper()}\n{count(totals[family])}" for family in numbers],
        [
            Part(
                in_words(part),
                colour,
                [share(parts[part], totals[family]) for family, parts in numbers.items()],
                dark=colour in DARK,
            )
            for part, colour in colours.items()
        ],
        x_label=f"{LABEL}:  {published}",
        y_label=axis,
    )


def described(numbers: Numbers, totals: Mapping[str, int], axis: str) -> str:
    """Return a description of the figure in words."""
    families = "; ".join(
        f"{family.upper()}: "
        + ", ".join(f"{in_words(part)} {percent(share(number, totals[family]))}" for part, number in parts.items())
        for family, parts in numbers.items()
    )
    return f"Stacked bars, {axis}: {families}."
