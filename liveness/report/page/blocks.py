"""Parts of the page for the template: blocks with a heading, pictures, a table and notes."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liveness.analysis.tables import Cell, printed, style_of
from liveness.report.figures.drawing import Shown
from liveness.report.layout import Section


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture embedded in the page, and its description in words."""

    data_uri: str
    alt: str
    kind: str
    """The CSS class of the image: ``figure`` or ``map``."""
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell; `css` are its classes."""

    text: str
    css: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Without column names there is no header row, and the first cell of each row is its name."""

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
    """One heading with its content; `anchor` is the target of links."""

    anchor: str
    title: str
    pictures: Sequence[Picture] = ()
    table: Table | None = None
    text: str | None = None
    """Preformatted text in a collapsed element."""


def table_of(section: Section) -> Table:
    """Return a terminal's table as one of the page; marks of cells become CSS classes."""

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


def picture_of(drawing: Shown, printed_notes: Sequence[str] = ()) -> Picture:
    """Return a figure as an SVG in the page, without the notes of `printed_notes`, which its table has already."""
    notes = [note for note in drawing.notes if note not in printed_notes]
    return Picture(data_uri("image/svg+xml", drawing.rendered("svg")), drawing.alt, "figure", notes)


def data_uri(media_type: str, content: bytes) -> str:
    """Return a data URI with the content of a file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def blocks_of(prefix: str, sections: Iterable[Section], drawings: Iterable[Shown]) -> list[Block]:
    """Return a block for each table with its figures, in the order of tables; figures without a table come last.

    If several tables have the same id, as those of several changes, they are numbered, and each has one of the figures.
    """
    sections = list(sections)
    tables = Counter(section.table.id for section in sections)
    figures: dict[str, list[Shown]] = {}
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


def interleaved(prefix: str, sections: Iterable[Section], drawings: Iterable[Shown]) -> list[Block]:
    """Return a block for each table, and after it one for each of its figures; figures without a table come last.

    Unlike `blocks_of`, every figure has a heading of its own: a table may have one for each probe.
    """
    figures: dict[str, list[Block]] = {}
    for drawing in drawings:
        block = Block(f"{prefix}-figure-{drawing.name}", drawing.title, [picture_of(drawing)])
        figures.setdefault(drawing.described.table, []).append(block)
    blocks, seen = [], Counter[str]()
    for section in sections:
        name = section.table.id
        seen[name] += 1
        anchor = f"{prefix}-{name}" if seen[name] == 1 else f"{prefix}-{name}-{seen[name]}"
        blocks += [Block(anchor, section.title, table=table_of(section)), *figures.pop(name, [])]
    return [*blocks, *(block for several in figures.values() for block in several)]
