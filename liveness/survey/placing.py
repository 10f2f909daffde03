"""Kernels that place the records of an imported survey: first each address' phase, then the bits of its rounds."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.survey.records import ECHO_REPLY, NO_REPLY, UNREACHABLE

NEVER: Final = -1
SECOND, UNPROBED, OUTSIDE, OTHER_TYPE = range(4)
"""Tallies: a second record of a round, a reply of an address that was not probed, a time outside, another ICMP type."""
TALLIES: Final = 4

ERRORS: Final = (UNREACHABLE, 4, 5, 11, 12)
"""ICMP types of errors (RFC 792), each a negative reply."""


@kernel
def note_times(
    time_s: NDArray[np.int64],
    index: NDArray[np.int64],
    first_s: NDArray[np.int64],
    last_s: NDArray[np.int64],
    gaps: NDArray[np.int64],
    found: int,
) -> int:
    """Note the first and last probe of each address; fill `gaps` with the times between two, and return how many.

    `index` is the address of each record, negative for records without a probe.
    """
    for i in range(len(time_s)):
        at = index[i]
        if at < 0:
            continue
        if first_s[at] == NEVER or time_s[i] < first_s[at]:
            first_s[at] = time_s[i]
        if last_s[at] != NEVER and found < len(gaps) and time_s[i] > last_s[at]:
            gaps[found] = time_s[i] - last_s[at]
            found += 1
        last_s[at] = max(last_s[at], time_s[i])
    return found


@kernel
def round_of(time_s: int, first_s: int, start_s: float, interval_s: float) -> int:
    """Return the round of a probe: whole intervals from the address' own phase, whose first record is at `first_s`."""
    phase = (first_s - start_s) % interval_s
    return int64(np.floor((time_s - start_s - phase) / interval_s + 0.5))


@kernel
def put_bit(plane: NDArray[np.uint8], row: int, number: int) -> bool:
    """Set a bit of a plane; return whether it was set before."""
    mask = np.uint8(1 << (number & 7))
    before = int(plane[row, number >> 3] & mask)
    plane[row, number >> 3] |= mask
    return before != 0


@kernel
def has_bit(plane: NDArray[np.uint8], row: int, number: int) -> bool:
    """Return whether a bit of a plane is set."""
    return (int(plane[row, number >> 3]) >> (number & 7)) & 1 != 0


@kernel
def place_records(
    time_s: NDArray[np.int64],
    rtt_us: NDArray[np.int64],
    icmp_type: NDArray[np.uint8],
    probed: NDArray[np.int64],
    replied: NDArray[np.int64],
    first_s: NDArray[np.int64],
    newest: NDArray[np.int64],
    start_s: float,
    interval_s: float,
    rounds: int,
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    negative: NDArray[np.uint8],
    late: NDArray[np.uint8],
    delay_us: NDArray[np.int64],
    tallies: NDArray[np.int64],
) -> None:
    """Set the bits of records in the order in which they were written.

    `probed` is the row of the address probed, NEVER without a probe; `replied` that of the address that replied, equal
    to `probed` where the address replied for itself. `newest` keeps the round of each address' newest probe. `delay_us`
    gets the time that the first positive reply of an address in a round took, and is left as it is for other records.
    """
    for i in range(len(time_s)):
        row = probed[i]
        kind = icmp_type[i]
        is_reply = kind == ECHO_REPLY or kind in ERRORS
        if row < 0:  # a reply that nobody waited for: it answers the newest probe before it
            row = replied[i]
            if row < 0 or newest[row] == NEVER:
                tallies[UNPROBED] += 1
            elif is_reply:
                number = newest[row]
                again = put_bit(late, row, number) or has_bit(positive, row, number)
                if kind == ECHO_REPLY and not again:
                    sent_s = start_s + (first_s[row] - start_s) % interval_s + number * interval_s
                    delay_us[i] = int64(max(0.0, (time_s[i] - sent_s) * 1e6))
            else:
                tallies[OTHER_TYPE] += 1
            continue
        number = round_of(time_s[i], first_s[row], start_s, interval_s)
        if number < 0 or number >= rounds:
            tallies[OUTSIDE] += 1
            continue
        if put_bit(sent, row, number):
            tallies[SECOND] += 1
        newest[row] = number
        if not is_reply:
            tallies[OTHER_TYPE] += int64(kind != NO_REPLY)
            continue
        direct = kind == ECHO_REPLY and replied[i] == row
        plane = late if rtt_us[i] > interval_s * 1e6 else positive if direct else negative
        if not put_bit(plane, row, number) and direct:
            delay_us[i] = rtt_us[i]
