"""Style of figures: colours that are distinguishable with colour vision deficiency, hatches for print, and fonts."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from numpy.typing import NDArray

from liveness.analysis.figures import Colour

FONT: Final = "DejaVu Sans"
"""The font comes with matplotlib, so that figures are the same on every machine."""

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
ORANGE: Final = "#E69F00"
RED: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#999999"
PALE: Final = "#E6E6E6"
INK: Final = "#1A1A1A"
"""The colours of Okabe and Ito (Color Universal Design, 2008), and greys."""

COLOURS: Final[dict[Colour, str]] = {
    "blue": BLUE, "sky": SKY, "green": GREEN, "yellow": YELLOW, "orange": ORANGE, "red": RED, "purple": PURPLE
}  # fmt: skip

HATCHES: Final = ("", "////", "xxxx", "----", "\\\\\\\\")
"""One for each part of a stacked bar, in order: parts can be distinguished without colour."""

SEQUENTIAL: Final = "cividis"
"""Similar with and without colour vision, with monotonic brightness (Nuñez, Anderton, Renslow 2018)."""

PNG_DPI: Final = 200

SETTINGS: Final[dict[Any, Any]] = {
    "font.family": FONT,
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.axisbelow": True,
    "axes.grid.axis": "y",
    "axes.grid": True,
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "hatch.color": INK,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.handleheight": 1.2,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is no formula
    "text.usetex": False,
    "svg.fonttype": "path",  # glyphs are paths, so that no font is needed
    "svg.hashsalt": "liveness",  # equal results give equal bytes
}


@contextmanager
def styled() -> Iterator[None]:
    """Set the style for drawing and saving; a user's matplotlibrc has no effect."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def shades_of(places: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the sequential colours of positions in [0, 1] as red, green and blue, shape (positions, 3)."""
    shades: NDArray[np.uint8] = np.round(255 * mpl.colormaps[SEQUENTIAL](places)[:, :3]).astype(np.uint8)
    return shades


@cache
def font_file() -> str:
    """Return the path of the font."""
    return str(findfont(FontProperties(family=[FONT])))


def drawable(text: str) -> str:
    """Return a text in which question marks replace characters that the font does not have."""
    known = _characters()
    return "".join(letter if ord(letter) in known and letter.isprintable() else "?" for letter in text)


@cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(font_file()).get_charmap())
