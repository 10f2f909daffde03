"""Tables as LaTeX with the rules of booktabs: a float in each file, and a document that includes all of them."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from liveness.analysis.tables import Table, printed
from liveness.report.layout import Section

ESCAPED: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}", "\n": " ",
    "-": "{-}", "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
"""Characters that are special to TeX, to a font's ligatures, or at the start of a row."""

WIDE: Final = 7
"""The number of columns from which a table is set in a smaller font."""


def latex_tables(tables: Iterable[Table], top: int, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each table; `prefix` begins its label. Long tables are cut as in a terminal."""
    seen = Counter[str]()
    for table in tables:
        seen[table.id] += 1
        name = table.id if seen[table.id] == 1 else f"{table.id}-{seen[table.id]}"
        shown = top if table.id == "slices" else table.shown
        yield name, latex_table(Section(table, shown=shown), f"{prefix}{name}")


def latex_table(section: Section, label: str) -> str:
    """Return one table as a float with caption, label and notes."""
    words = section.text_columns
    columns = "".join("l" if place in words else "r" for place in range(len(section.columns)))
    head = _row(section.columns)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        *([r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"] if len(columns) >= WIDE else []),
        rf"\caption{{{escaped(section.title)}}}",
        rf"\label{{tab:{_label(label)}}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *([head, r"\midrule"] if any(section.columns) else []),
        *(_row([printed(cell) for cell in row]) for row in section.cells),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if section.notes:
        notes = [rf"{escaped(note)}\par" for note in section.notes]
        lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize", *notes, r"\end{minipage}"]
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
    """Return text as TeX prints it: letters lose their accents, other non-ASCII characters become their code points."""
    return "".join(_escaped(character) for character in unicodedata.normalize("NFKD", text))


def _escaped(character: str) -> str:
    if character in ESCAPED:
        return ESCAPED[character]
    if character.isascii():
        return character if character.isprintable() else " "
    return "" if unicodedata.combining(character) else f"U+{ord(character):04X}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escaped(cell) for cell in cells) + r" \\"


def _label(text: str) -> str:
    """Return a label of characters that need no escape."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text)
