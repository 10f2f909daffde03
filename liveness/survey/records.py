"""One record type for surveys in the formats of others: a probe with its reply, or a reply that nobody waited for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

RECORD: Final = np.dtype(
    [
        ("time_s", "<i8"),  # when the probe was sent; of a reply without a probe, when it came
        ("rtt_us", "<i8"),  # 0 where no reply was matched to the probe
        ("probe", "<u4"),  # the address probed, 0 of a reply without a probe
        ("reply", "<u4"),  # who replied, 0 for the address probed itself
        ("icmp_type", "u1"),  # ECHO_REPLY, UNREACHABLE, NO_REPLY, or another ICMP type
    ]
)
"""The dtype of batches: addresses in host order."""

ECHO_REPLY: Final = 0
UNREACHABLE: Final = 3
NO_REPLY: Final = 8
OLD_NO_REPLY: Final = 0xFF

Records = NDArray[np.void]


@dataclass
class Notes:
    """Counts of a reader: how many records it read, and what it could not use, counted by reason."""

    records: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count records that are not used."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count


Batches = Iterator[Records]
