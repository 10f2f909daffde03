"""The files of a survey's report: figures and exported tables in folders, and the page."""

from collections.abc import Iterator, Sequence

from liveness.analysis.survey.figures.every import survey_figures
from liveness.analysis.survey.gathered import Gathered
from liveness.analysis.survey.results import SurveyResults
from liveness.files.outputs import write_output
from liveness.report.export.latex import latex_tables
from liveness.report.export.tidy import csv_of
from liveness.report.figures.drawers import saved
from liveness.report.files import made, write_csv_files, write_drawings, write_latex_files
from liveness.report.options import Outputs
from liveness.report.survey.page import provenance_table, survey_page
from liveness.report.views.survey import survey_tables


def write_survey_report(
    outputs: Outputs, results: SurveyResults, gathered: Gathered | None, wanted: Sequence[int], top: int
) -> Iterator[str]:
    """Write the outputs, and yield a line about each file or folder that is written.

    `wanted` are the indices of the blocks that have a raster, examples if empty; `top` is the number of outages in a
    table; `gathered` is needed if `outputs.draws`. LivenessError names the file that cannot be written, or the planes
    that cannot be read.
    """
    figures = () if gathered is None else survey_figures(results, gathered, wanted)
    drawings = saved(figures, outputs.drawn_formats)
    if outputs.figures is not None:
        written = list(write_drawings(drawings, made(outputs.figures, "figures"), outputs.formats))
        yield f"{len(written)} files of figures below {outputs.figures}"
    tables = [provenance_table(results.manifest), *survey_tables(results, top)]
    if outputs.csv is not None:
        run = {"run": results.manifest.run}
        written = write_csv_files(csv_of((run, table) for table in tables), outputs.csv)
        yield f"{len(written)} CSV files below {outputs.csv}"
    if outputs.latex is not None:
        written = write_latex_files((("", name, text) for name, text in latex_tables(tables, top, "")), outputs.latex)
        yield f"{len(written)} LaTeX files below {outputs.latex}"
    if outputs.html is not None:
        write_output(outputs.html, survey_page(results, drawings, top).encode())
        yield str(outputs.html)
