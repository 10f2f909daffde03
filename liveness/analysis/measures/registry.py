"""The registry of measures, in the order in which they are printed."""

from typing import Final

from liveness.analysis.measure import AnyMeasure
from liveness.analysis.measures.applications import APPLICATIONS
from liveness.analysis.measures.conditional import CONDITIONAL
from liveness.analysis.measures.coverage import COVERAGE
from liveness.analysis.measures.error_categories import ERROR_CATEGORIES
from liveness.analysis.measures.error_messages import ERROR_MESSAGES
from liveness.analysis.measures.error_only import ERROR_ONLY
from liveness.analysis.measures.error_sources import ERROR_SOURCES
from liveness.analysis.measures.gains import GAINS
from liveness.analysis.measures.lag import LAG
from liveness.analysis.measures.loss import LOSS
from liveness.analysis.measures.patterns import PATTERNS
from liveness.analysis.measures.record import RECORD
from liveness.analysis.measures.reply_types import REPLY_TYPES
from liveness.analysis.measures.response_rates import RESPONSE_RATES
from liveness.analysis.measures.slices import SLICES
from liveness.analysis.measures.tarpits import TARPITS
from liveness.analysis.measures.taxonomy import TAXONOMY
from liveness.analysis.measures.timeline import TIMELINE
from liveness.analysis.measures.top_sources import TOP_SOURCES
from liveness.analysis.measures.transport import TRANSPORT

MEASURES: Final[tuple[AnyMeasure, ...]] = (
    RECORD,
    RESPONSE_RATES,
    TAXONOMY,
    COVERAGE,
    REPLY_TYPES,
    ERROR_ONLY,
    ERROR_CATEGORIES,
    ERROR_MESSAGES,
    ERROR_SOURCES,
    TRANSPORT,
    APPLICATIONS,
    TARPITS,
    CONDITIONAL,
    PATTERNS,
    GAINS,
    LOSS,
    TOP_SOURCES,
    SLICES,
    LAG,
    TIMELINE,
)
"""Every measure. Its id is its key in the JSON document, and the start of the names of its tables and figures."""
