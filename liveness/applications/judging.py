"""Judging: one kernel that judges the data of a segment by the application of a number."""

from typing import Final

from liveness.applications.registry import ENTRIES, definition_of
from liveness.kernel import chain

is_answer: Final = chain(
    "is_application_answer",
    ("frame", "at", "length"),
    {number: definition_of(entry).is_answer for number, entry in enumerate(ENTRIES)},
    __file__,
)
"""Kernel of (number, frame, at, length): whether the data is that of the application of this number."""
