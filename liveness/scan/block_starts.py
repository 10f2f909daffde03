"""The agreed starts of a run's blocks, watched while it runs: how late each was, and what the clock was worth then."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from liveness.clock import utc
from liveness.runs.manifest import BlockStart, BlockStatus, Manifest
from liveness.scan.agreed_start import agreed_ns, late_after_ms, slack_s
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.system.clock_offset import ClockReading, read_clock


@dataclass(slots=True)
class BlockStarts:
    """The starts of the blocks of one run. A run without a slot has none.

    `first` is the manifest at the beginning of the session: starts of earlier sessions are kept. A start before the
    agreed time is none: older versions recorded it when a run was stopped while it waited.
    """

    plan: Plan
    shared: Shared
    first: Manifest
    on_notice: Callable[[str], None]
    clock: Callable[[], ClockReading] = read_clock
    _records: dict[int, BlockStart] = field(default_factory=dict, init=False)
    _slack_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Take over the starts of earlier sessions."""
        self._slack_s = slack_s(self.plan)
        known = {block.block: block.start for block in self.first.blocks if isinstance(block.start, BlockStart)}
        for number, part in enumerate(self.plan.order.parts):
            if part.name in known and known[part.name].late_ms >= 0:
                self._records[number] = known[part.name]

    def look(self) -> None:
        """Record the start of each block that has begun since the last look; a late one is reported."""
        if self.plan.config.slot is None:
            return
        for number in np.flatnonzero(self.shared.began_ns.any(axis=0)).tolist():
            if number in self._records:
                continue
            part = self.plan.order.parts[number]
            start_ns = agreed_ns(self.plan, number)
            late = None if start_ns is None else late_after_ms(self.shared, number, start_ns)
            if start_ns is None or late is None:
                continue
            in_time = late <= self._slack_s * 1e3
            agreed = utc(start_ns)
            self._records[number] = BlockStart(
                agreed=agreed, late_ms=late, synchronised=in_time, clock_offset_ms=self.clock().offset_ms
            )
            if not in_time:
                self.on_notice(
                    f"block {part.name} began {late / 1e3:,.1f} s after its agreed start ({agreed}), more than the"
                    f" {self._slack_s:,.1f} s that its slot has left: it is not synchronised with other vantage points"
                )

    def added_to(self, blocks: list[BlockStatus]) -> list[BlockStatus]:
        """Return the records of the blocks, in the order of the plan, with their starts."""
        return [
            msgspec.structs.replace(block, start=self._records.get(number, msgspec.UNSET))
            for number, block in enumerate(blocks)
        ]
