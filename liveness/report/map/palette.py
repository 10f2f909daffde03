"""The colours of the map: shades for 1 to 256 alive addresses, black for none, stripes for reserved space, and ink."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.report.figures.style import shades_of

Pixels = NDArray[np.uint8]
"""Indices into the palette."""

SILENT: Final = 0
FIRST_SHADE: Final = 1
SHADES: Final = 200
RESERVED: Final = 210
STRIPE: Final = 211
UNPROBED: Final = 212
PAPER: Final = 224
INKS: Final = 32
"""Grey levels from paper to ink, for letters."""

FULL: Final = 256
"""Addresses in a /24."""
DARKEST: Final = 0.16
"""Position in the colour scale of a single alive address, which must differ from none."""

FIXED: Final = {SILENT: (0, 0, 0), RESERVED: (168, 168, 168), STRIPE: (225, 225, 225), UNPROBED: (241, 236, 226)}
STRIPE_EVERY: Final = 8
"""Pixels from stripe to stripe: reserved space can be distinguished without colour."""


def palette() -> bytes:
    """Return red, green and blue of 256 colours."""
    colours = np.zeros((256, 3), np.uint8)
    colours[FIRST_SHADE : FIRST_SHADE + SHADES] = shades_of(np.linspace(DARKEST, 1, SHADES))
    for place, colour in FIXED.items():
        colours[place] = colour
    colours[PAPER : PAPER + INKS] = np.round(np.linspace(255, 20, INKS))[:, None]
    return colours.tobytes()


def shade_of(alive: int) -> int:
    """Return the colour index of 0 to 256 alive addresses; the scale is logarithmic."""
    return SILENT if alive == 0 else FIRST_SHADE + round((SHADES - 1) * float(np.log(alive) / np.log(FULL)))


def shades(alive: NDArray[np.uint16], reserved: NDArray[np.bool_], unprobed: NDArray[np.bool_] | None = None) -> Pixels:
    """Return the colour of every /24 of a map; /24s that were not probed have a shade only if addresses are alive."""
    table = np.array([shade_of(number) for number in range(FULL + 1)], np.uint8)
    pixels = table[alive]
    if unprobed is not None:
        pixels[unprobed & (alive == 0)] = UNPROBED
        reserved = reserved & unprobed
    pixels[reserved & (alive == 0)] = RESERVED
    return pixels


def striped(pixels: Pixels) -> Pixels:
    """Return pixels with stripes through reserved space."""
    rows, columns = (np.arange(size).astype(np.uint8) for size in pixels.shape)  # wraps at a multiple of the stripes
    on_stripe: NDArray[np.bool_] = (rows[:, None] + columns) % STRIPE_EVERY == 0
    return np.where(on_stripe & (pixels == RESERVED), np.uint8(STRIPE), pixels)
