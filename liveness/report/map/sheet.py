"""The sheet of a map: squares with gaps, each below its name; title above, legend below."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from liveness.report.figures.style import font_file
from liveness.report.map.palette import (
    FULL,
    INKS,
    PAPER,
    RESERVED,
    SILENT,
    UNPROBED,
    Pixels,
    palette,
    shade_of,
    striped,
)

TICKS: Final = (1, 4, 16, 64, 256)
COMPRESSION: Final = 6


@dataclass(frozen=True, slots=True)
class Words:
    """The texts on a sheet; `letter_px` is the height of the squares' names."""

    title: str
    names: Mapping[tuple[int, int], str]
    """Names by row and column of the square."""
    unit: str
    """The meaning of a pixel."""
    description: str
    letter_px: int


def sheet(pixels: Pixels, words: Words) -> bytes:
    """Return a PNG of a square map; names and the grid between the squares cover no pixel of it."""
    many = 1 + max(row for row, _ in words.names)
    side, letter = len(pixels) // many, words.letter_px
    gap, strip = max(2, letter // 4), letter + 5
    margin, head = 2 * letter, 2 * letter + max(22, 2 * letter)
    foot = 6 * max(letter, 13)
    canvas = np.full((head + many * (side + strip) + foot, 2 * margin + many * (side + gap) - gap), PAPER, np.uint8)
    page = _Page(canvas)
    pixels = striped(pixels)
    for (row, column), name in words.names.items():
        x, y = margin + column * (side + gap), head + row * (side + strip) + strip
        canvas[y : y + side, x : x + side] = pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]
        page.write(x, y - strip + 1, name, letter)
    page.write_within(margin, letter, words.title, max(16, 2 * letter))
    page.legend(margin, len(canvas) - foot + letter, max(letter, 13), words.unit)
    return page.png(words.description)


class _Page:
    """A canvas with text."""

    def __init__(self, canvas: Pixels) -> None:
        self.canvas = canvas

    def write(self, x: int, y: int, text: str, size: int) -> int:
        """Write a text with its upper left corner at (x, y), cut at the edge; return the x coordinate of its end."""
        font = ImageFont.truetype(font_file(), size)
        left, top, right, bottom = font.getbbox(text)
        width, height = int(right - left) + 2, int(bottom) + 2
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).text((-left, 0), text, fill=255, font=font)
        part = self.canvas[y : y + height, x : x + width]
        ink = np.asarray(mask, np.uint16)[: part.shape[0], : part.shape[1]] * (INKS - 1) // 255
        part[ink > 0] = PAPER + ink[ink > 0]
        del top
        return x + width

    def write_within(self, x: int, y: int, text: str, size: int) -> None:
        """Write a text at `size`, or smaller if it would not fit the width."""
        room = self.canvas.shape[1] - 2 * x
        needed = ImageFont.truetype(font_file(), size).getlength(text)
        self.write(x, y, text, size if needed <= room else max(8, int(size * room / needed)))

    def legend(self, x: int, y: int, size: int, unit: str) -> None:
        """Draw the scale of shades with its numbers, and the colours of cells without a shade."""
        at = self.write(x, y, f"{unit}; alive addresses of 256:", size) + size
        bar = np.array([shade_of(round(FULL ** (place / (16 * size)))) for place in range(16 * size + 1)], np.uint8)
        self.canvas[y : y + size, at : at + len(bar)] = bar[: self.canvas.shape[1] - at]
        for tick in TICKS:
            where = at + round(16 * size * float(np.log(tick) / np.log(FULL)))
            self.canvas[y + size : y + size + 4, where : where + 1] = PAPER + INKS - 1
            self.write(where - size // 3 * len(str(tick)), y + size + 5, str(tick), size)
        y += 3 * size
        for colour, name in (
            (SILENT, "none alive"),
            (UNPROBED, "not probed"),
            (RESERVED, "special-purpose space (IANA)"),
        ):
            swatch = striped(np.full((size, 2 * size), colour, np.uint8))
            self.canvas[y : y + size, x : x + 2 * size] = swatch
            x = self.write(x + 2 * size + size // 2, y - size // 8, name, size) + 2 * size

    def png(self, description: str) -> bytes:
        """Return the canvas as a PNG of 256 colours."""
        image = Image.fromarray(self.canvas)
        image.putpalette(palette())  # grey levels become indices into the palette
        metadata = PngInfo()
        metadata.add_text("Description", description.encode("latin-1", "replace").decode("latin-1"))
        stream = io.BytesIO()
        image.save(stream, "PNG", compress_level=COMPRESSION, pnginfo=metadata)
        return stream.getvalue()
