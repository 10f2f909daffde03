"""Import of whatever survey format files are of."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from liveness.errors import UsageError
from liveness.planes.rundir import SurveyRun
from liveness.survey.csv_importing import import_csv, import_parquet
from liveness.survey.csv_records import is_csv
from liveness.survey.import_timing import Given
from liveness.survey.importing import HEAD_BYTES, import_survey
from liveness.survey.parquet_records import is_parquet
from liveness.survey.trinocular_importing import import_trinocular
from liveness.survey.trinocular_raw import is_trinocular

_Importer = Callable[[Sequence[Path], Path, str, Given], SurveyRun]


def import_any(files: Sequence[Path], path: Path, name: str, given: Given) -> SurveyRun:
    """Make a run directory from files of one survey, all of one kind. Errors as the importer of the kind has them."""
    kinds = [_kind_of(file) for file in files]
    for file, kind in zip(files, kinds, strict=True):
        if kind != kinds[0]:
            raise UsageError(f"{files[0]} is {kinds[0]} and {file} is {kind}: files of one survey are of one kind")
    return _IMPORTERS[kinds[0]](files, path, name, given)


CSV: Final = "CSV"
PARQUET: Final = "Parquet"
TRINOCULAR: Final = "Trinocular's raw data"
ANT: Final = "a survey of ANT"
_IMPORTERS: Final[dict[str, _Importer]] = {
    CSV: import_csv,
    PARQUET: import_parquet,
    TRINOCULAR: import_trinocular,
    ANT: import_survey,
}


def _kind_of(path: Path) -> str:
    """Return the kind of a file; what is of no other kind is left to the importer of ANT's surveys, which names it."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
    except OSError as problem:
        raise UsageError(f"{path}: cannot read: {problem.strerror}") from problem
    if is_csv(head):
        return CSV
    if is_parquet(head):
        return PARQUET
    return TRINOCULAR if is_trinocular(path) else ANT
