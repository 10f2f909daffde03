"""What the page is made of: blocks with a heading, a picture, a table and notes, as the template takes them."""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from liveness.report.figures.drawing import Drawing
from liveness.report.layout import Cell, Section
from liveness.report.published import LABEL

CLASSES: Final = {"bold red": "alarm", "dim": "dim"}
"""How the styles of cells in the terminal are called in the page."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the page itself, and what it shows in words."""

    data_uri: str
    alt: str
    kind: str
    """The class of its image: ``figure`` or ``map``."""
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell; `css` are its classes."""

    text: str
    css: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; where no column has a name there is no header row, and the first cell of each row names it."""

    title: str
    columns: Sequence[TableCell]
    rows: Sequence[Sequence[TableCell]]
    notes: Sequence[str]

    @property
    def headed(self) -> bool:
        """Whether any column has a name."""
        return any(column.text for column in self.columns)


@dataclass(frozen=True, slots=True)
class Block:
    """One heading with what belongs to it; `anchor` is where links lead."""

    anchor: str
    title: str
    pictures: Sequence[Picture] = ()
    table: Table | None = None
    text: str | None = None
    """Preformatted, folded."""


def table_of(section: Section) -> Table:
    """Return a table of the terminal as one of the page."""
    words = [place in section.text_columns or name == LABEL for place, name in enumerate(section.columns)]

    def cell(content: Cell, place: int) -> TableCell:
        style = CLASSES.get(str(content.style), "") if isinstance(content, Text) else ""
        css = " ".join(name for name in ("" if words[place] else "number", style) if name)
        return TableCell(str(content), css)

    return Table(
        section.title,
        [TableCell(name, "" if words[place] else "number") for place, name in enumerate(section.columns)],
        [[cell(content, place) for place, content in enumerate(row)] for row in section.rows],
        section.notes,
    )


def picture_of(drawing: Drawing, told: Sequence[str] = ()) -> Picture:
    """Return a figure as an SVG in the page; `told` are notes that stand there already."""
    notes = [note for note in drawing.notes if note not in told]
    return Picture(data_uri("image/svg+xml", drawing.rendered("svg")), drawing.alt, "figure", notes)


def data_uri(media_type: str, content: bytes) -> str:
    """Return a file as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def blocks_of(prefix: str, sections: Iterable[Section], drawings: Iterable[Drawing]) -> list[Block]:
    """Join tables and figures of the same title, in the tables' order; figures without a table come last."""
    figures = {drawing.title: drawing for drawing in drawings}
    blocks = []
    for section in sections:
        drawing = figures.pop(section.title, None)
        pictures = [] if drawing is None else [picture_of(drawing, section.notes)]
        blocks.append(Block(anchor_of(prefix, section.title), section.title, pictures, table_of(section)))
    blocks += [Block(anchor_of(prefix, title), title, [picture_of(drawing)]) for title, drawing in figures.items()]
    return blocks


def anchor_of(prefix: str, title: str) -> str:
    """Return where links to a heading lead."""
    return f"{prefix}-{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}"
