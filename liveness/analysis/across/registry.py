"""The registry of measures of several runs, in the order in which they are printed."""

from typing import Final

from liveness.analysis.across.changes import CHANGES
from liveness.analysis.across.measure import AnyAcrossMeasure
from liveness.analysis.across.not_compared import NOT_COMPARED
from liveness.analysis.across.retention import RETENTION

ACROSS: Final[tuple[AnyAcrossMeasure, ...]] = (CHANGES, RETENTION, NOT_COMPARED)
"""Every measure of several runs. Its id is its key in the JSON document, and the start of the names of its tables."""
