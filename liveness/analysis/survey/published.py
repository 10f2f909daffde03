"""Comparison of a survey's values with published ones, as tables and documents show them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from liveness.analysis.numbers import ABSENT, percent, seconds
from liveness.analysis.survey.results import ProbeResult
from liveness.analysis.survey.sequences import REPAIRED
from liveness.reference import heidemann_2008, quan_2012
from liveness.reference.published import Published

NAMES: Final = {
    "occupancy.sparse": ("sparse_blocks", "responding /24s less than 5% full"),
    "occupancy.dense": ("dense_blocks", "responding /24s more than half full"),
    "outages.down": ("down", "/24s down at a time, weekly outages left out"),
    "stable": ("stable", "stable addresses of the ever-responsive"),
}
MEDIAN: Final = "median_up_s"
PUBLISHED: Final = heidemann_2008.PUBLISHED | {quan_2012.DOWN_AT_ANY_TIME.id: quan_2012.DOWN_AT_ANY_TIME}


@dataclass(frozen=True, slots=True)
class Compared:
    """A value of a survey with its 95 % interval, if it has one, and the published value."""

    what: str
    value: float | None
    low: float | None
    high: float | None
    published: Published

    @property
    def words(self) -> str:
        """Our value as a table prints it."""
        return seconds(self.value) if self.published.unit == "seconds" else percent(self.value)

    @property
    def interval(self) -> str:
        """The interval as a table prints it."""
        if self.low is None or self.high is None:
            return ABSENT
        return f"{percent(self.low)} to {percent(self.high)}"

    @property
    def source(self) -> str:
        """The paper that published the value."""
        return quan_2012.LABEL if self.published is quan_2012.DOWN_AT_ANY_TIME else heidemann_2008.LABEL

    def document(self) -> dict[str, Any]:
        """Return the values as a document for other tools."""
        return {
            "id": self.published.id,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "published": self.published.low,
            "source": self.source,
        }


def compared(probe: ProbeResult) -> Iterator[Compared]:
    """Yield the values of a probe that were published too. The median is that of censored periods after repair."""
    for name, (estimate, what) in NAMES.items():
        found = probe.estimates[estimate]
        yield Compared(what, found.value, found.low, found.high, PUBLISHED[name])
    median = probe.readings[REPAIRED].median_up_censored_s
    yield Compared("median up period, censored, repaired", median, None, None, PUBLISHED[MEDIAN])
