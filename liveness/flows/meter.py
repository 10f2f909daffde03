"""Meters packets into flows: a bounded table of current flows, with an idle and an active timeout.

A packet that comes more than the idle timeout after its flow's last one, or the active timeout or more after its first
one, begins another record. So records depend on packets alone, not on when the table is swept. Where the table is full
those seen least recently are evicted: their records are complete up to then, and counted.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.meter_block import (
    DAMAGED,
    FINISHED,
    IPV6,
    LIVE,
    NOT_IP,
    NOW_NS,
    PACKETS,
    STATE_FIELDS,
    meter_block,
    rehash,
)
from liveness.flows.record import Flows, Notes, empty

IDLE_S: Final = 15.0
ACTIVE_S: Final = 300.0
TABLE_FLOWS: Final = 1 << 20
_NS_PER_S: Final = 1_000_000_000


@dataclass(slots=True)
class Meter:
    """Turns receive blocks into flow records."""

    notes: Notes
    exporter: int
    idle_s: float = IDLE_S
    active_s: float = ACTIVE_S
    table_flows: int = TABLE_FLOWS
    evicted: int = 0
    _rows: Flows = None  # type: ignore[assignment]  # made below
    _table: NDArray[np.int64] = None  # type: ignore[assignment]
    _state: NDArray[np.int64] = None  # type: ignore[assignment]
    _finished: Flows = None  # type: ignore[assignment]
    _swept_ns: int = 0

    def __post_init__(self) -> None:
        """Make the table, at most half full."""
        self._rows = empty(self.table_flows)
        self._table = np.full(1 << (2 * self.table_flows - 1).bit_length(), -1, np.int64)
        self._state = np.zeros(STATE_FIELDS, np.int64)
        self._finished = empty(1 << 16)

    @property
    def packets(self) -> int:
        """Packets metered so far."""
        return int(self._state[PACKETS])

    def feed(self, block: NDArray[np.uint8]) -> list[Flows]:
        """Meter a receive block; return the records that have ended meanwhile."""
        ended: list[Flows] = []
        idle_ns, active_ns = round(self.idle_s * _NS_PER_S), round(self.active_s * _NS_PER_S)
        while True:
            done = meter_block(
                block, self._rows, self._table, self._finished, self._state, idle_ns, active_ns, self.exporter
            )
            if self._state[FINISHED]:
                ended.append(self._finished[: self._state[FINISHED]].copy())
                self._state[FINISHED] = 0
            now_ns = int(self._state[NOW_NS])
            full = self._state[LIVE] >= len(self._rows)
            if full or now_ns - self._swept_ns > idle_ns:
                ended += self._sweep(now_ns, idle_ns, full=bool(full))
            if done:
                return ended

    def finish(self) -> Flows:
        """Return the records of flows that have not ended, and note what was no IPv4 packet."""
        for place, reason in (
            (IPV6, "IPv6 packets"),
            (NOT_IP, "packets that are not IP"),
            (DAMAGED, "damaged packets"),
        ):
            if self._state[place]:
                self.notes.undecoded[reason] += int(self._state[place])
        left = self._rows[: self._state[LIVE]].copy()
        self._state[LIVE] = 0
        self._table[:] = -1
        return left

    def _sweep(self, now_ns: int, idle_ns: int, *, full: bool) -> list[Flows]:
        """Take out what has been idle for too long; where that makes no room, also what was seen least recently."""
        self._swept_ns = now_ns
        live = self._rows[: self._state[LIVE]]
        over = now_ns - live["end_ns"] > idle_ns
        if full and 4 * int(over.sum()) < len(live):
            kept = len(live) - max(1, len(live) // 4)
            over |= live["end_ns"] <= np.partition(live["end_ns"], len(live) - kept)[len(live) - kept]
            self.evicted += int((over & (now_ns - live["end_ns"] <= idle_ns)).sum())
        ended = live[over].copy()
        staying = live[~over].copy()
        self._rows[: len(staying)] = staying
        self._state[LIVE] = len(staying)
        rehash(self._table, self._rows, len(staying))
        return [ended] if len(ended) else []
