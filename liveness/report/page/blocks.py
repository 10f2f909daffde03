"""What the page is made of: blocks with a heading, a picture, a table and notes, as the template takes them."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liveness.analysis.tables import Cell, printed, style_of
from liveness.report.figures.drawing import Drawing
from liveness.report.layout import Section


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
    """Return a table of the terminal as one of the page; marked cells have the mark as their class."""

    def cell(content: Cell, place: int) -> TableCell:
        css = ("" if place in section.text_columns else "number", style_of(content))
        return TableCell(printed(content), " ".join(filter(None, css)))

    return Table(
        section.title,
        [
            TableCell(name, "" if place in section.text_columns else "number")
            for place, name in enumerate(section.columns)
        ],
        [[cell(content, place) for place, content in enumerate(row)] for row in section.cells],
        section.notes,
    )


def picture_of(drawing: Drawing, printed_notes: Sequence[str] = ()) -> Picture:
    """Return a figure as an SVG in the page; `printed_notes` are in the table already."""
    notes = [note for note in drawing.notes if note not in printed_notes]
    return Picture(data_uri("image/svg+xml", drawing.rendered("svg")), drawing.alt, "figure", notes)


def data_uri(media_type: str, content: bytes) -> str:
    """Return a file as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def blocks_of(prefix: str, sections: Iterable[Section], drawings: Iterable[Drawing]) -> list[Block]:
    """Put each figure to its table, in the tables' order; figures without a table come last.

    Where several tables have one id, as those of several changes, they are numbered, and each has one of its figures.
    """
    sections = list(sections)
    tables = Counter(section.table.id for section in sections)
    figures: dict[str, list[Drawing]] = {}
    for drawing in drawings:
        figures.setdefault(drawing.described.table or drawing.name, []).append(drawing)
    blocks, seen = [], Counter[str]()
    for section in sections:
        name = section.table.id
        seen[name] += 1
        anchor = f"{prefix}-{name}" if seen[name] == 1 else f"{prefix}-{name}-{seen[name]}"
        waiting = figures.get(name, [])
        pictures = [picture_of(drawing, section.notes) for drawing in waiting[: 1 if tables[name] > 1 else None]]
        del waiting[: len(pictures)]
        blocks.append(Block(anchor, section.title, pictures, table_of(section)))
    rest = [drawing for several in figures.values() for drawing in several]
    blocks += [Block(f"{prefix}-{drawing.name}", drawing.title, [picture_of(drawing)]) for drawing in rest]
    return blocks
