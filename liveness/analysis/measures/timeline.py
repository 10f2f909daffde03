"""The run over time: rates sent and accepted, and packets dropped."""

from collections.abc import Iterator

from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Figure, Timeline
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.numbers import count, seconds
from liveness.runs.course import Timeline as Record


def timeline(run: RunStates) -> Record | None:
    """Return the counters by interval; None if a run recorded none, and for a part of the address space."""
    return run.manifest.timeline if run.within is None and run.manifest.timeline.end_s else None


def figures(value: Record | None, run: RunResults) -> Iterator[Figure]:
    """Yield packets sent, received, accepted and dropped per second, by interval."""
    if value is None:
        return
    dropped = sum(value.kernel_drops) + sum(value.nic_drops)
    changes = ["Dotted lines: the rate was changed."] if run.manifest.rate_changes else []
    yield Figure(
        "timeline",
        "The run over time",
        f"Lines over {seconds(float(value.end_s[-1]))}: {count(sum(value.sent))} packets sent,"
        f" {count(sum(value.accepted))} replies accepted, {count(dropped)} packets dropped.",
        [
            f"Packets of all probes and attempts, averaged over {count(len(value.end_s))} intervals.",
            "past the filter: what the capture saw. accepted: replies that prove their probe.",
            *changes,
        ],
        Timeline(run.manifest),
    )


TIMELINE = Measure("timeline", timeline, figures=figures, document=None)
