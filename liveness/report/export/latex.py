"""Tables as LaTeX with the rules of booktabs: a float in each file, and a document that includes all of them."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from liveness.analysis.tables import Table
from liveness.report.layout import Section

ESCAPED: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "-": "{-}", "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
"""Characters that are special to TeX, to a font's ligatures, or at the start of a row."""

NORMAL_PT: Final = 10.0
SMALL_PT: Final = 8.0
"""Sizes of the normal font and of that of footnotes, in a document of 10 pt."""
GAP_PT: Final = {NORMAL_PT: 6.0, SMALL_PT: 3.0}
"""Half the space between two columns."""
LINE_PT: Final = 480.0
"""Width of a line between margins of 2 cm on the narrower of A4 and letter paper, with some room left."""
LINES: Final = {NORMAL_PT: 42, SMALL_PT: 54}
"""Lines of a table that fit a page together with caption and notes."""
LONG_WORD: Final = 24
PIECE: Final = 8
"""A word of more than LONG_WORD characters may be broken after every PIECE characters."""
LEAST_SHARE: Final = 0.1
"""The least share of the line that a column of wrapped text gets."""

NARROW: Final = frozenset("fijlrtI.,:;!|'`()[]/- ")
BROAD: Final = frozenset("mwMW%@<>=+~#&") | frozenset("ABCDEFGHJKLNOPQRSTUVXYZ")


@dataclass(frozen=True, slots=True)
class Setting:
    """How a table is set: the size of its font, and the share of the line that each column of wrapped text gets."""

    size_pt: float
    wrapped: Mapping[int, float]

    @classmethod
    def of(cls, section: Section) -> "Setting":
        """Return the largest size at which the table fits the line; if no size is small enough, texts are wrapped."""
        rows = [section.columns, *section.rows]
        widths_em = [max(map(_width_em, column)) for column in zip(*rows, strict=True)]
        for size_pt in (NORMAL_PT, SMALL_PT):
            room_em = (LINE_PT - 2 * GAP_PT[size_pt] * (len(widths_em) - 1)) / size_pt
            fits = sum(widths_em) <= room_em
            if fits and len(rows) <= LINES[size_pt]:
                return cls(size_pt, {})
        return cls(SMALL_PT, {} if fits else _wrapped(widths_em, section.text_columns, room_em))

    def lines_of(self, row: Sequence[str]) -> int:
        """Return the lines that a row takes, the most of its columns."""
        room_em = LINE_PT / self.size_pt
        # Words are not broken, which wastes up to a quarter of a line.
        return (
            max(ceil(1.25 * _width_em(row[place]) / (share * room_em)) for place, share in self.wrapped.items())
            if self.wrapped
            else 1
        )

    def columns(self, words: Collection[int], number: int) -> str:
        """Return the specification of the columns: l for text, r for numbers, p for wrapped text."""
        return "".join(
            rf"p{{{self.wrapped[place]:.3f}\linewidth}}" if place in self.wrapped else "l" if place in words else "r"
            for place in range(number)
        )


def _wrapped(widths_em: Sequence[float], words: Collection[int], room_em: float) -> dict[int, float]:
    """Return shares of the line for columns of text, the widest first, so that the table fits."""
    chosen: list[int] = []
    for place in sorted(words, key=lambda place: -widths_em[place]):
        chosen.append(place)
        left = room_em - sum(width for other, width in enumerate(widths_em) if other not in chosen)
        if left >= LEAST_SHARE * room_em * len(chosen):
            break
    whole = sum(widths_em[place] for place in chosen)
    line_em = LINE_PT / SMALL_PT
    return {place: max(left * widths_em[place] / whole / line_em, LEAST_SHARE / 2) for place in chosen}


def _width_em(text: str) -> float:
    """Return about how wide a text is in Computer Modern, in units of its size."""
    return sum(0.33 if letter in NARROW else 0.85 if letter in BROAD else 0.53 for letter in _spelled(text))


def latex_tables(tables: Iterable[Table], top: int, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each table; `prefix` begins its label. Long tables are cut as in a terminal."""
    seen = Counter[str]()
    for table in tables:
        seen[table.id] += 1
        name = table.id if seen[table.id] == 1 else f"{table.id}-{seen[table.id]}"
        shown = top if table.id == "slices" else table.shown
        yield name, latex_table(Section(table, shown=shown), f"{prefix}{name}")


def latex_table(section: Section, label: str) -> str:
    """Return one table as a float with caption, label and notes; one that is longer than a page as several floats."""
    setting = Setting.of(section)
    parts: list[list[list[str]]] = [[]]
    lines = 0
    for row in section.rows:
        lines += setting.lines_of(row)
        if lines > LINES[setting.size_pt] and parts[-1]:
            parts.append([])
            lines = setting.lines_of(row)
        parts[-1].append(row)
    floats = []
    for number, rows in enumerate(parts, start=1):
        of = "" if len(parts) == 1 else f" (part {number} of {len(parts)})"
        name = label if number == 1 else f"{label}-part{number}"
        floats.append(_float(section, rows, setting, f"{section.title}{of}", name, notes=number == len(parts)))
    return "\\clearpage\n".join(floats)  # TeX holds a limited number of floats back


def _float(
    section: Section, rows: Sequence[Sequence[str]], setting: Setting, caption: str, label: str, *, notes: bool
) -> str:
    """Return some rows of a table as a float."""
    columns = setting.columns(section.text_columns, len(section.columns))
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        *([r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"] if setting.size_pt == SMALL_PT else []),
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{tab:{_label(label)}}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *([_row(section.columns), r"\midrule"] if any(section.columns) else []),
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if notes and section.notes:
        written = [rf"{escaped(note)}\par" for note in section.notes]
        lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize", *written, r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}", ""])


def latex_document(places: Sequence[str]) -> str:
    """Return a document that includes these files, named without suffix, one after the other."""
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage{textcomp}",
            r"\usepackage{booktabs}",
            r"\usepackage[margin=2cm]{geometry}",
            r"\begin{document}",
            *(rf"\input{{{place}}}\clearpage" for place in places),
            r"\end{document}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Return text as TeX prints it; words that are too long for a column may be broken."""
    return " ".join(map(_word, _spelled(text).split(" ")))


def _word(word: str) -> str:
    length = PIECE if len(word) > LONG_WORD else LONG_WORD
    pieces = [word[start : start + length] for start in range(0, len(word), length)]
    return r"\allowbreak{}".join("".join(ESCAPED.get(one, one) for one in piece) for piece in pieces)


def _spelled(text: str) -> str:
    """Return text in ASCII: letters lose their accents, other characters become their code points."""
    return "".join(map(_in_ascii, unicodedata.normalize("NFKD", text)))


def _in_ascii(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    return "" if unicodedata.combining(character) else f"U+{ord(character):04X}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escaped(cell) for cell in cells) + r" \\"


def _label(text: str) -> str:
    """Return a label of characters that need no escape."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text)
