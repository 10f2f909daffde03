"""The lag record: the times at which each lane passed every millionth target, and the lags between probes."""

import time

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc
from liveness.runs.course import Lag, LanePassing, lag_of
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared


def _passed_s(marks: NDArray[np.int64], started_ns: int) -> NDArray[np.float64]:
    """Return the times in seconds since the start at which marks were passed, (lanes, marks); NaN if not passed.

    With several senders, a mark is passed when the last sender has passed it.
    """
    passed = (marks.max(axis=0) - started_ns) / 1e9
    return np.where(marks.min(axis=0) == 0, np.nan, passed)


def lag_record(plan: Plan, shared: Shared, started_ns: int) -> Lag:
    """Return the lag record of all blocks, with the maximum and the 80th percentile of lags between first attempts."""
    lanes: list[LanePassing] = []
    spreads: list[NDArray[np.float64]] = []
    for part, marks in zip(plan.order.parts, shared.marks, strict=True):
        passed = _passed_s(marks, started_ns)
        first_attempts = passed[: len(plan.probes)]
        known = ~np.isnan(first_attempts).any(axis=0)
        spreads.append(np.ptp(first_attempts[:, known], axis=0))
        for lane, times in enumerate(passed):
            attempt, probe = divmod(lane, len(plan.probes))
            lanes.append(
                LanePassing(
                    block=part.name,
                    probe=plan.probes[probe].name,
                    attempt=attempt,
                    passed_s=[None if np.isnan(at) else round(float(at), 6) for at in times],
                )
            )
    began_ns = time.time_ns() - (time.monotonic_ns() - started_ns)
    return msgspec.structs.replace(
        lag_of(plan.order.mark_every, lanes, np.concatenate(spreads)),
        began=utc(began_ns),
        offset_s=plan.config.start_offset.seconds or msgspec.UNSET,
    )
