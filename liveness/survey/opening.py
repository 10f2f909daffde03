"""Import of whatever survey format files are of."""

from collections.abc import Sequence
from pathlib import Path

from liveness.errors import UsageError
from liveness.planes.rundir import SurveyRun
from liveness.survey.csv_importing import import_csv
from liveness.survey.csv_records import is_csv
from liveness.survey.importing import HEAD_BYTES, Given, import_survey


def import_any(files: Sequence[Path], path: Path, name: str, given: Given) -> SurveyRun:
    """Make a run directory from files of one survey, all CSV or all of ANT's formats. Errors as those have them."""
    csv = [file for file in files if _head_is_csv(file)]
    if csv and len(csv) < len(files):
        other = next(file for file in files if file not in csv)
        raise UsageError(f"{csv[0]} is CSV and {other} is not: files of one survey are of one kind")
    return import_csv(files, path, name, given) if csv else import_survey(files, path, name, given)


def _head_is_csv(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_csv(file.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf"))
    except OSError as problem:
        raise UsageError(f"{path}: cannot read: {problem.strerror}") from problem
