"""Surveys on disk: how available addresses are, round by round."""

from pathlib import Path
from typing import Any

import msgspec

from liveness.analysis.survey.document import encode
from liveness.analysis.survey.results import analyze_survey
from liveness.planes.rundir import SurveyRun


class Survey:
    """Run of `liveness survey`: opened by `open_survey`. Nothing is changed on disk."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._run = SurveyRun.open(self._path)

    def __repr__(self) -> str:
        return f"Survey({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._path

    @property
    def probes(self) -> tuple[str, ...]:
        """The probes of the survey."""
        return tuple(self._run.manifest.probes)

    def document(self) -> dict[str, Any]:
        """Analyse the survey, and return the results as `liveness survey analyze --json` prints them."""
        decoded: dict[str, Any] = msgspec.json.decode(encode(analyze_survey(self._run)))
        return decoded


def open_survey(path: str | Path) -> Survey:
    """Return the survey in a run directory. Raises UsageError if there is none in it."""
    return Survey(path)
