"""When late replies could be received: the survey listened, by its own record, and the far end was still there.

A probe counts as sent only if its reply could be received.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.surveys.arrivals import ProbesByBlock, Schedule
from liveness.planes.matrix import Matrix

PARTS: Final = 8
"""Parts of an interval for which it is known whether the survey listened."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Whether a survey listened in each part of each interval, and in the interval after the last round."""

    start_ns: int
    part_ns: float
    parts: NDArray[np.bool_]
    ended_ns: NDArray[np.int64]
    """When the sessions of the far end ended, sorted: replies that waited then were never sent."""

    def heard(self, asked_ns: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each reply could be received: to a probe that arrived at `asked_ns`, due at `times_ns`.

        The survey has to have listened in the part of its time, in the part before it and in the part after it.
        """
        same_session = np.searchsorted(self.ended_ns, asked_ns) == np.searchsorted(self.ended_ns, times_ns)
        place = ((times_ns - self.start_ns) // self.part_ns).astype(np.int64)
        known = (place >= 1) & (place < len(self.parts) - 1)
        place = np.where(known, place, 1)
        listened = self.parts[place - 1] & self.parts[place] & self.parts[place + 1]
        heard: NDArray[np.bool_] = known & listened & same_session
        return heard


def listening_of(schedule: Schedule, matrix: Matrix, probes: ProbesByBlock, ended_ns: list[int]) -> Listening:
    """Return when a survey listened: in each part in which a probe arrived that it recorded as sent.

    The sessions of the far end ended at `ended_ns`.
    """
    part_ns = schedule.interval_ns / PARTS
    parts = np.zeros((schedule.rounds + 1) * PARTS, np.bool_)
    for probe in schedule.probes:
        for block in range(len(probes)):
            some = probes.of_block(block, probe)
            sent = matrix.planes(probe, block, 1).sent
            recorded = sent[some.index, some.number >> 3] >> (some.number & 7) & 1 == 1
            place = ((some.rows["time_ns"][recorded] - schedule.start_ns) // part_ns).astype(np.int64)
            parts[np.clip(place, 0, len(parts) - 1)] = True
    # Nothing is sent in the interval after the last round, in which the survey still listens if it did to the end.
    parts[-PARTS:] = parts[-2 * PARTS : -PARTS][-2:].any()
    return Listening(schedule.start_ns, part_ns, parts, np.sort(np.array(ended_ns, np.int64)))
