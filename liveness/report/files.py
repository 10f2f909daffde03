"""The files of a report: figures and exported tables in folders, the page, the map and enlarged maps."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from liveness.analysis.results import Results
from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.outputs import write_output
from liveness.report.comparison import comparison_table
from liveness.report.export.latex import latex_document, latex_tables
from liveness.report.export.tidy import csv_files
from liveness.report.figures.drawing import Saved, Shown
from liveness.report.map.liveness_map import LivenessMap
from liveness.report.options import Format, Outputs
from liveness.report.page.page import report_page
from liveness.report.page.provenance import provenance_table
from liveness.report.pictures import Pictures


def write_report(outputs: Outputs, results: Results, top: int) -> Iterator[str]:
    """Write the outputs, and yield a line about each file or folder that is written.

    Raises LivenessError that names the file if it cannot be written.
    """
    pictures = Pictures(results, outputs.drawn_formats)
    if outputs.figures is not None:
        written = write_figures(results, pictures, outputs.figures, outputs.formats)
        yield f"{len(written)} files of figures below {outputs.figures}"
    if outputs.csv is not None:
        written = write_csv(results, outputs.csv)
        yield f"{len(written)} CSV files below {outputs.csv}"
    if outputs.latex is not None:
        written = write_latex(results, outputs.latex, top)
        yield f"{len(written)} LaTeX files below {outputs.latex}"
    if outputs.map_file is not None:
        yield from map(str, write_maps(_last_map(results, pictures), outputs.map_file, outputs.zooms))
    if outputs.html is not None:
        write_output(outputs.html, report_page(results, outputs.zooms, top, pictures).encode())
        yield str(outputs.html)


def write_figures(results: Results, pictures: Pictures, folder: Path, formats: Sequence[Format]) -> list[Path]:
    """Write all figures, those of a single run into the folder; return the files.

    With several runs each has a folder, and figures of changes between them are next to these. Raises LivenessError
    that names the file if it cannot be written.
    """
    return [
        path
        for place, drawing in _placed(results, pictures)
        for path in write_drawings([drawing], made(folder / place, "figures"), formats)
    ]


def write_drawings(drawings: Iterable[Shown], folder: Path, formats: Sequence[Format]) -> Iterator[Path]:
    """Write each drawing into an existing folder in each format, and yield the files."""
    for drawing in drawings:
        for form in formats:
            path = folder / f"{drawing.name}.{form}"
            write_atomically(path, drawing.rendered(form))
            yield path


def write_csv(results: Results, folder: Path) -> list[Path]:
    """Write a file for each table, all runs together.

    Raises LivenessError that names the file that cannot be written.
    """
    return write_csv_files(csv_files(results), folder)


def write_csv_files(files: Iterable[tuple[str, str]], folder: Path) -> list[Path]:
    """Write CSV files, given by name and text. Raises LivenessError that names the file that cannot be written."""
    made(folder, "CSV files")
    written = []
    for name, text in files:
        written.append(folder / f"{name}.csv")
        write_atomically(written[-1], text.encode())
    return written


def write_latex(results: Results, folder: Path, top: int) -> list[Path]:
    """Write a file for each table, and `tables.tex`, which includes all; several runs have a folder each.

    Raises LivenessError that names the file if it cannot be written.
    """
    return write_latex_files(_latex(results, top), folder)


def write_latex_files(files: Iterable[tuple[str, str, str]], folder: Path) -> list[Path]:
    """Write tables, given by folder, name and text, and `tables.tex`, which includes all of them.

    Raises LivenessError that names the file if it cannot be written.
    """
    written = []
    places: list[str] = []
    for place, name, text in files:
        places.append(f"{place}/{name}" if place else name)
        written.append(made(folder / place, "LaTeX files") / f"{name}.tex")
        write_atomically(written[-1], text.encode())
    written.append(folder / "tables.tex")
    write_atomically(written[-1], latex_document(places).encode())
    return written


def _latex(results: Results, top: int) -> Iterator[tuple[str, str, str]]:
    """Yield every table with its folder and the name of its file."""
    taken: set[str] = set()
    for run in results.runs:
        place = "" if len(results.runs) == 1 else _folder(run.manifest.run, taken)
        tables = [comparison_table(run), provenance_table(run.manifest, run), *run.tables()]
        for name, text in latex_tables(tables, top, f"{place}:" if place else ""):
            yield place, name, text
    for name, text in latex_tables(results.tables(), top, "runs:"):
        yield "", name, text


def made(folder: Path, what: str) -> Path:
    """Make a folder and its parents. Raises LivenessError that names it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise LivenessError(f"{folder}: cannot make this directory for {what}: {problem.strerror}") from problem
    return folder


def _placed(results: Results, pictures: Pictures) -> Iterator[tuple[str, Saved]]:
    """Yield every figure with its folder."""
    taken: set[str] = set()
    for number, run in enumerate(results.runs):
        place = "" if len(results.runs) == 1 else _folder(run.manifest.run, taken)
        for drawing in pictures.of_run(number):
            yield place, drawing
    for drawing in (*pictures.between_runs, *pictures.of_origins):
        yield "", drawing


def _folder(run: str, taken: set[str]) -> str:
    """Return the name of a run's folder, made safe so that a manifest cannot name a path outside the report."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", run).lstrip(".-") or "run"
    number, folder = 1, name
    while folder in taken:
        number += 1
        folder = f"{name}-{number}"
    taken.add(folder)
    return folder


def write_maps(drawn: LivenessMap, path: Path, zooms: Sequence[int]) -> list[Path]:
    """Write the map, and an enlarged map of each /8 next to it: map.png, map-203.png."""
    write_output(path, drawn.focused or drawn.png())
    written = [path]
    for octet in zooms:
        enlarged = path.with_name(f"{path.stem}-{octet}{path.suffix}")
        write_atomically(enlarged, drawn.zoomed(octet))
        written.append(enlarged)
    return written


def _last_map(results: Results, pictures: Pictures) -> LivenessMap:
    """Return the map of the last run; ValueError if it was not counted by /24, as the scope must request."""
    if pictures.last_map is None:
        raise ValueError(f"{results.runs[-1].manifest.run}: was not counted by /24")
    return pictures.last_map
