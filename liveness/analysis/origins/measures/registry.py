"""The registry of measures of several vantage points, in the order in which they are printed."""

from typing import Final

from liveness.analysis.origins.measure import AnyOriginMeasure
from liveness.analysis.origins.measures.bursts import BURSTS
from liveness.analysis.origins.measures.classes import CLASSES
from liveness.analysis.origins.measures.coverage import COVERAGE
from liveness.analysis.origins.measures.differences import DIFFERENCES
from liveness.analysis.origins.measures.estimates import ESTIMATES
from liveness.analysis.origins.measures.gain import GAIN
from liveness.analysis.origins.measures.published import PUBLISHED
from liveness.analysis.origins.measures.runs import RUNS
from liveness.analysis.origins.measures.slices import SLICES

ORIGINS: Final[tuple[AnyOriginMeasure, ...]] = (
    RUNS,
    COVERAGE,
    GAIN,
    CLASSES,
    DIFFERENCES,
    ESTIMATES,
    BURSTS,
    SLICES,
    PUBLISHED,
)
"""Every measure of several vantage points. Its id is its key within `origins` of the JSON document."""
