"""Exported LaTeX is compiled by TeX itself: it reads every file, and everything fits line and page."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from liveness.analysis.counting.partition import by_prefixes
from liveness.analysis.counting.scope import Scope
from liveness.analysis.results import Results, analyze_sets
from liveness.analysis.tables import Column, Table
from liveness.report.export.latex import latex_document, latex_tables
from liveness.report.files import write_latex
from tests.populations import BASE, Population, town
from tests.report.runs import HOSTILE, full, results, weekly

NAMES = ("A network with a name of several words, Ltd. & Co. KG", "AS" + 20 * "M" + "_" + 60 * "x", "64502", HOSTILE)


def compiled(folder: Path) -> str:
    """Compile `tables.tex` of a folder without fonts and output; return what TeX recorded, in unbroken lines."""
    command = ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"]
    surroundings = {"PATH": "/usr/bin:/bin", "TEXMFVAR": str(folder / "var"), "max_print_line": "10000"}
    done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "tables.log").read_text(encoding="latin-1")


def assert_fits(log: str) -> None:
    """Assert that no line is too wide, no table too long, and no character without a glyph."""
    assert re.findall(r"Overfull.*|Float too large.*|Missing character.*|.*multiply defined.*", log) == []


def sliced() -> Results:
    population = town()
    places = (0, 256, 512, 768)
    partition = by_prefixes("asn", [(BASE + at, 24, name) for at, name in zip(places, NAMES, strict=True)])
    config = {"name": "census", "targets": {"allow": ["10.0.0.0/20"]}}
    manifest = msgspec.structs.replace(population.manifest(), config=config)
    return analyze_sets([(manifest, population.open_set)], Scope(partition=partition))


@pytest.mark.parametrize(
    "found",
    [
        Results([full()]),
        results(*weekly(3)),
        sliced(),
        results(replace(town(), name=HOSTILE + '\\input{/etc/passwd}%&_#~^{} "quoted", =1+1')),
        results(Population([], ())),
    ],
    ids=["one", "several", "slices", "hostile", "nothing"],
)
def test_tex_reads_every_table_and_all_fit(tmp_path: Path, found: Results) -> None:
    written = write_latex(found, tmp_path, 20)
    log = compiled(tmp_path)
    assert_fits(log)
    read = re.findall(r"\(\./((?:[^\s()]|\n)+?\.tex)", log)
    assert {tmp_path / name for name in read} == set(written)


@pytest.mark.parametrize("rows", [1, 40, 60, 400])
@pytest.mark.parametrize("words", [1, 12, 60])
def test_tables_of_any_size_fit(tmp_path: Path, rows: int, words: int) -> None:
    columns = (Column("name"), Column("addresses", "addresses"), Column("what it is"), Column("share", "share"))
    text = " ".join(["MANAGED", "interfaces"] * words)
    table = Table(
        "sizes", f"{rows} rows", columns, [(text, 10**9 + row, text, 0.5) for row in range(rows)], ["A note."]
    )
    [(name, latex)] = latex_tables([table], 20, "")
    (tmp_path / f"{name}.tex").write_text(latex)
    (tmp_path / "tables.tex").write_text(latex_document([name]))
    assert_fits(compiled(tmp_path))
    assert latex.count(f"{10**9:,}"[:-3]) == rows
    assert latex.count("A note.") == 1


def test_tex_refuses_what_is_wrong(tmp_path: Path) -> None:
    write_latex(Results([full()]), tmp_path, 20)
    path = tmp_path / "taxonomy.tex"
    path.write_text(path.read_text().replace(r"\bottomrule", r"1 & 2 & 3 & 4 & 5 & 6 & 7 & 8 \\ \bottomrule"))
    with pytest.raises(AssertionError, match="Extra alignment tab"):
        compiled(tmp_path)
