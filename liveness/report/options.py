"""The output files of a report, checked before the work begins."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from liveness.errors import UsageError
from liveness.files.outputs import check_output

Format = Literal["svg", "png"]

FORMATS: Final[dict[str, tuple[Format, ...]]] = {"svg": ("svg",), "png": ("png",), "both": ("svg", "png")}
LARGEST_OCTET: Final = 255


@dataclass(frozen=True, slots=True)
class Outputs:
    """Paths of figures, page, map and exported tables, None for outputs that are not wanted. False if all are None."""

    figures: Path | None
    formats: tuple[Format, ...]
    html: Path | None
    map_file: Path | None
    zooms: tuple[int, ...]
    """/8s to enlarge, 0 to 255."""
    csv: Path | None = None
    latex: Path | None = None

    def __bool__(self) -> bool:
        return any(path is not None for path in (self.figures, self.html, self.map_file, self.csv, self.latex))

    @property
    def has_map(self) -> bool:
        """Whether the last run has to be counted by /24."""
        return self.html is not None or self.map_file is not None

    @property
    def draws(self) -> bool:
        """Whether figures are drawn, into files or on the page."""
        return self.figures is not None or self.html is not None

    @property
    def drawn_formats(self) -> tuple[Format, ...]:
        """The formats in which figures are drawn: those of the files, and SVG for the page."""
        files = () if self.figures is None else self.formats
        return files if self.html is None or "svg" in files else (*files, "svg")

    def check(self) -> None:
        """Make the folders. Raises UsageError that names the first path that cannot be written."""
        if self.html is not None:
            _check_file(self.html, (".html", ".htm"), "the page")
        if self.map_file is not None:
            _check_file(self.map_file, (".png",), "the map")
        for folder, what in ((self.figures, "figures"), (self.csv, "CSV files"), (self.latex, "LaTeX files")):
            if folder is not None:
                _check_folder(folder, what)


def octet_of(text: str) -> int:
    """Return the /8 that ``203``, ``203/8`` or ``203.0.0.0/8`` means. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,3})(?:(?:\.0\.0\.0)?/8)?", text)
    if found is None or int(found[1]) > LARGEST_OCTET:
        raise ValueError(f"{text!r} is no /8: expected 0 to {LARGEST_OCTET}, or a prefix as 203.0.0.0/8")
    return int(found[1])


def _check_file(path: Path, suffixes: tuple[str, ...], what: str) -> None:
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: {what} is written as {' or '.join(suffixes)}: give it that suffix")
    check_output(path, what)


def _check_folder(path: Path, what: str) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageError(f"{path}: cannot make this directory for {what}: {problem.strerror}") from problem
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: cannot write {what} here: no permission to write in it")
