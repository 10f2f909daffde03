"""The files of a passive run's report: page, figures and tables."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.outputs import write_output
from liveness.report.options import Format, Outputs
from liveness.report.passive.document import Document
from liveness.report.passive.export import write_passive_csv
from liveness.report.passive.figures import passive_figures
from liveness.report.passive.page import passive_page
from liveness.report.passive.space import LocalSpace


def write_passive_report(
    document: Document, space: Callable[[], LocalSpace | None], outputs: Outputs, say: Callable[[str], None]
) -> None:
    """Write what is wanted of page, figures and CSV files, after a check of all paths; `say` what was written.

    `space` returns the local addresses, which figures need. UsageError names a path that cannot be written.
    """
    outputs.check()
    local = space() if outputs.draws else None
    if outputs.csv is not None:
        say(f"wrote {len(write_passive_csv(document, outputs.csv))} CSV files below {outputs.csv}")
    if outputs.figures is not None:
        written = list(write_passive_figures(document, outputs.figures, outputs.formats, local))
        say(f"wrote {len(written)} figures below {outputs.figures}")
    if outputs.html is not None:
        write_output(outputs.html, passive_page(document, local).encode())
        say(f"wrote {outputs.html}")


def write_passive_figures(
    document: Document, folder: Path, formats: Sequence[Format], space: LocalSpace | None = None
) -> Iterator[Path]:
    """Write the figures into a folder, and yield each file. LivenessError if one cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise LivenessError(f"{folder}: cannot make this directory for figures: {problem.strerror}") from problem
    for drawing in passive_figures(document, space):
        for form in formats:
            path = folder / f"{drawing.name}.{form}"
            write_atomically(path, drawing.rendered(form))
            yield path
