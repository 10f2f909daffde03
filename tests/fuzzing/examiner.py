"""The examiner: one frame at a time, the invariants that every packet must keep, compiled or as plain Python."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liveness.packets.parse import ACCEPTED, FIELDS
from liveness.replies import REPLY_DTYPE, Tier
from tests.frames import Scanner
from tests.fuzzing.campaign import GUARD, TAIL, TARGETS, TIME_NS
from tests.fuzzing.oracle import TARGET, is_proven, truth


@dataclass
class Examiner:
    """Matches frames twice, in other surroundings each time, and asks the oracle about strong evidence."""

    scanner: Scanner = field(default_factory=Scanner)

    def __post_init__(self) -> None:
        """Compute what the probes of the golden target carry."""
        self.table = truth()

    def outcome(self, frame: bytes, *, verify: bool, fill: int = 0, tail: int = 0) -> tuple[int, NDArray[np.void]]:
        """Return status and record of a frame between bytes of value `fill`, `tail` of them behind it."""
        memory = np.full(GUARD + len(frame) + tail, fill, np.uint8)
        memory[GUARD : GUARD + len(frame)] = np.frombuffer(frame, np.uint8)
        row = np.full(FIELDS, fill * 0x0101010101, np.int64)
        records = np.frombuffer(bytes([fill]) * REPLY_DTYPE.itemsize, REPLY_DTYPE).copy()
        place = slice(GUARD, GUARD + len(frame))
        checks = {"check_ip": verify, "check_transport": verify}
        status = int(self.scanner.match(memory, place, row, records, TIME_NS, **checks, targets=TARGETS))
        return status, records if status == ACCEPTED else np.zeros(1, REPLY_DTYPE)

    def problems(self, frame: bytes, *, verify: bool) -> list[str]:
        """Return which invariants a frame breaks, in words; whatever matching raises is raised here."""
        status, records = self.outcome(frame, verify=verify)
        found = []
        for fill in (0x00, 0x45, 0xFF):
            other_status, other = self.outcome(frame, verify=verify, fill=fill, tail=TAIL)
            if (other_status, other.tobytes()) != (status, records.tobytes()):
                found.append(f"depends on what lies outside the packet, here 0x{fill:02x}")
        record = records[0]
        if status == ACCEPTED and record["tier"] == Tier.STRONG and not self.is_proven(frame, record):
            found.append(f"strong without its cookie: {record}")
        return found

    def is_proven(self, frame: bytes, record: np.void) -> bool:
        """Return whether the oracle finds in a frame what its record claims."""
        memory = np.frombuffer(frame, np.uint8)
        claim = (int(record["kind"]), int(record["probe"]), int(record["attempt"]))
        return int(record["target"]) == TARGET and bool(is_proven(memory, 0, *claim, self.table))
