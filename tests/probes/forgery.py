"""Forged replies: a true one with some fields out of the air, a million times, and how many are accepted."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets.parse import ACCEPTED, FIELDS
from liveness.probes.match import match_frame
from liveness.probes.run_constants import RunConstants
from liveness.replies import REPLY_DTYPE, Tier
from tests.frames import EVERYWHERE, NOW_NS, Scanner

WHOLE: Final = (1 << 32) - 1
TRANSPORT: Final = 34
"""Where the transport header of a plain frame begins, and 28 bytes on, that of what an error quotes."""
QUOTED: Final = TRANSPORT + 28
BATCH: Final = 100_000


@dataclass(frozen=True)
class Field:
    """A field that a forger guesses: where it is, how many bytes, the values to choose from (inclusive)."""

    at: int
    width: int
    low: int = 0
    high: int = WHOLE


@kernel
def count_accepted(
    frame: NDArray[np.uint8],
    fields: NDArray[np.int64],
    draws: NDArray[np.uint32],
    constants: RunConstants,
    first: NDArray[np.uint32],
    last: NDArray[np.uint32],
    row: NDArray[np.int64],
    records: NDArray[np.void],
    counts: NDArray[np.int64],
) -> None:
    """Match a frame once for each row of draws (packets, fields); add accepted ones to `counts`, by tier."""
    for i in range(len(draws)):
        for k in range(len(fields)):
            at, width = fields[k, 0], fields[k, 1]
            value = fields[k, 2] + int64(draws[i, k]) % (fields[k, 3] - fields[k, 2] + 1)
            for byte in range(width):
                frame[at + byte] = (value >> (8 * (width - 1 - byte))) & 0xFF
        status = match_frame(frame, 0, len(frame), NOW_NS, False, False, constants, first, last, row, records[0])
        if status == ACCEPTED:
            counts[int64(records[0]["tier"])] += 1


def forge(
    scanner: Scanner,
    frame: Any,  # noqa: ANN401 - bytes, or a scapy packet
    fields: list[Field],
    packets: int,
    seed: int,
) -> dict[Tier, int]:
    """Return how many of so many forgeries of a frame are accepted, by tier; checksums count for nothing."""
    constants = scanner.constants
    random = np.random.default_rng(seed)
    memory = np.frombuffer(bytes(frame), np.uint8).copy()
    table = np.array([(field.at, field.width, field.low, field.high) for field in fields], np.int64)
    row, records, counts = np.zeros(FIELDS, np.int64), np.zeros(1, REPLY_DTYPE), np.zeros(len(Tier), np.int64)
    run = (constants, *EVERYWHERE)
    for begun in range(0, packets, BATCH):
        draws = random.integers(0, 1 << 32, (min(BATCH, packets - begun), len(fields)), np.uint32)
        count_accepted(memory, table, draws, *run, row, records, counts)
    return {tier: int(counts[tier]) for tier in Tier}
