"""Accounts of sending: frames that senders handed over, compared with what the interface and lower devices transmitted.

Without losses, a device counts at least the frames that were completed, at most those that were handed over, and other
traffic in addition. So (handed over - counted) decreases only by other traffic. If (completed - counted) is above the
lowest value of (handed over - counted) seen so far, frames are lost. The difference must last, because some drivers
update their counters only every second or two.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.net.counters import BRIDGE, U32, CounterReader, Device
from liveness.scan.shared import Shared

EVERY_NS: Final = 250_000_000
LASTING_NS: Final = 2_500_000_000
"""Shortest duration of a gap that is a loss: longer than drivers take to update their counters."""
NOISE_FRAMES: Final = 4
"""Gaps of fewer frames are ignored."""
PROVEN_FRAMES: Final = 64
PROVEN_SHARE: Final = 0.9
"""A device's counter is used once it has counted this share of PROVEN_FRAMES or more completed frames."""
STACK_EVERY_NS: Final = 10_000_000_000
"""Interval at which the devices below the interface are searched again, because bridge ports come and go."""
SAMPLES: Final = 400
FADING: Final = 0.98
"""Factor per check by which older counts of frames at bridge ports fade: they last about twelve seconds."""
DEPTH: Final = 8
"""Largest number of levels of devices below the interface."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that were completed and not transmitted, the interval in which they were lost, and the device."""

    start_ns: int
    end_ns: int
    frames: int
    where: str
    as_sent: bool = False
    """Whether the ring itself reported the frames as dropped. These are not among the completed ones."""


@dataclass(slots=True)
class Level:
    """Device, or group of devices, that all frames must pass, with the comparison of completed and counted frames."""

    where: str
    lost: int = 0
    """Frames that were lost here or above since the start of the session."""
    _before: tuple[int, int] | None = None
    _base: int = 0
    _proven: bool = False
    _samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def compare(self, now_ns: int, completed: int, counted: int, handed: int, *, settle: bool = False) -> Gap | None:
        """Compare frames completed, counted by the devices, and handed over; return a loss if it is certain.

        The three totals must be read in this order and never decrease. With `settle`, counters are final and the gap
        need not last.
        """
        if self._before is None:
            self._before = handed, counted  # handed, not completed: the devices may have counted frames in flight
        ours, theirs = completed - self._before[0], counted - self._before[1]
        if not self._proven:
            self._proven = ours >= PROVEN_FRAMES and theirs >= PROVEN_SHARE * ours
        missing = ours - theirs
        self._samples.append((now_ns, missing))
        self._base = min(self._base, handed - self._before[0] - theirs)  # the largest gap that needs no loss
        if not self._proven:
            return None
        lasting = [gap for at_ns, gap in self._samples if settle or at_ns >= now_ns - LASTING_NS]
        sure = min(lasting) if not settle else missing  # a gap that late counters cause closes within LASTING_NS
        if sure - self._base < NOISE_FRAMES or (not settle and self._samples[0][0] > now_ns - LASTING_NS):
            return None
        return self._close(sure)

    def _close(self, sure: int) -> Gap:
        """Return the gap of `sure` frames with the interval in which it opened, and make it the new base."""
        samples = list(self._samples)
        begun = max((place for place, (_, gap) in enumerate(samples) if gap <= self._base), default=0)
        reached = next(place for place in range(begun, len(samples)) if samples[place][1] >= sure)
        gap = Gap(samples[begun][0], samples[reached][0], sure - self._base, self.where)
        self.lost += sure - self._base
        self._base = sure
        return gap

    @property
    def proven(self) -> bool:
        """Return whether the devices have counted our frames so far."""
        return self._proven

    @property
    def suspects(self) -> bool:
        """Return whether there is a gap now that may prove to be a loss."""
        return self._proven and bool(self._samples) and self._samples[-1][1] - self._base >= NOISE_FRAMES


class Accounts:
    """Accounts of one session on one interface."""

    def __init__(self, interface: str, shared: Shared) -> None:
        self.interface = interface
        self.shared = shared
        self.lost = 0
        """Frames that were completed and lost below the interface, or dropped by the ring."""
        self.lost_by_probe: NDArray[np.int64] = np.zeros(shared.sent.shape[1], np.int64)
        """Frames that were completed and lost, by probe, in proportion to the probes sent at that time."""
        self.looked_ns = 0
        self._reader = CounterReader()
        self._index = self._reader.index_of(interface)
        self._levels = {"own": Level(f"interface {interface}")}
        self._stack: tuple[tuple[Device, ...], ...] = ()
        self._stack_ns = -STACK_EVERY_NS
        self._drops: dict[int, tuple[int, int]] = {}
        self._port_packets: dict[int, int] = {}
        self._completed = 0
        self._dropped = 0
        self._moved_ns = 0
        """When `completed` last grew."""
        self._handed_before = 0
        self._ours = self._port_frames = 0.0
        """Our frames, and all frames that ports sent or dropped, both fading by FADING."""
        self._below(0, time.monotonic_ns(), 0, last=False)
        self._reader.close()  # opened again at the first check, so that forked children do not inherit the socket

    @property
    def believed(self) -> bool:
        """Return whether the interface's own counter is used to detect losses."""
        return self._levels["own"].proven

    @property
    def settled(self) -> bool:
        """Return whether no gap is open that may prove to be a loss."""
        return not any(level.suspects for level in self._levels.values())

    def look(self, now_ns: int, *, last: bool = False) -> list[Gap]:
        """Read all counters if EVERY_NS has passed, and return the losses that are certain by now."""
        if not last and now_ns < self.looked_ns + EVERY_NS:
            return []
        if self._reader.closed:
            self._reader.open()
        since_ns, self.looked_ns = self.looked_ns or now_ns, now_ns
        completed = int(self.shared.completed.sum())  # read before the devices, which have counted completed frames
        dropped = int(self.shared.dropped.sum())
        gaps = []
        if dropped > self._dropped:
            where = f"interface {self.interface}"
            gaps.append(Gap(since_ns, now_ns, dropped - self._dropped, where, as_sent=True))
        try:
            settle = last and now_ns >= self._moved_ns + LASTING_NS  # some drivers update their counters late
            gaps += self._below(since_ns, now_ns, completed, last=settle)
        except LivenessError:  # a removed device counts nothing; senders report the error
            self._stack_ns = now_ns - STACK_EVERY_NS
        if completed != self._completed:
            self._moved_ns = now_ns
        self._completed, self._dropped = completed, dropped
        self.lost += sum(gap.frames for gap in gaps)
        return gaps

    def _below(self, since_ns: int, now_ns: int, completed: int, *, last: bool) -> list[Gap]:
        own = self._reader.device(self._index)
        if now_ns >= self._stack_ns + STACK_EVERY_NS:
            self._find_stack(now_ns)
        gaps = []
        found = self._levels["own"].compare(now_ns, completed, own.tx_packets, self._handed(), settle=last)
        if found is not None:
            gaps.append(found)
        bridged = own.kind == BRIDGE
        counted_above = self._levels["own"].lost
        for depth, devices in enumerate(self._stack):
            now = [self._reader.device(device.index) for device in devices]
            if bridged:
                gaps += self._dropped_at(since_ns, now_ns, now)
            else:
                level = self._levels.setdefault(str(depth), Level(_names(devices)))
                counted = sum(device.tx_packets for device in now)
                found = level.compare(now_ns, completed, counted, self._handed(), settle=last)
                if found is not None and level.lost > counted_above:
                    extra = min(found.frames, level.lost - counted_above)
                    gaps.append(Gap(found.start_ns, found.end_ns, extra, found.where))
                counted_above = max(counted_above, level.lost)
            bridged = bridged or any(device.kind == BRIDGE for device in now)
        return gaps

    def _handed(self) -> int:
        """Return the frames that senders handed over and did not take back, without those that the ring dropped."""
        shared = self.shared
        return int(shared.sent.sum() + shared.repaired.sum() - shared.dropped.sum())

    def _find_stack(self, now_ns: int) -> None:
        """Find the devices below the interface, level by level; forget the comparisons if the devices have changed."""
        self._stack_ns = now_ns
        stack: list[tuple[Device, ...]] = []
        upper, seen = [self._index], {self._index}
        while upper and len(stack) < DEPTH:
            lower = {device.index: device for index in upper for device in self._reader.lower_devices(index)}
            upper = [index for index in lower if index not in seen]
            seen.update(upper)
            if upper:
                stack.append(tuple(lower[index] for index in upper))
        if [[device.index for device in devices] for devices in stack] != [
            [device.index for device in devices] for devices in self._stack
        ]:
            for depth in range(len(stack)):
                self._levels.pop(str(depth), None)
        self._stack = tuple(stack)

    def _dropped_at(self, since_ns: int, now_ns: int, ports: Sequence[Device]) -> list[Gap]:
        """Return our share of what the ports of a bridge dropped.

        A bridge reports no drops to the sender, and its ports carry other frames too, so the share is an estimate.
        """
        gaps = []
        passed = 0
        dropped = {}
        for port in ports:
            drops, queue = port.tx_dropped + port.tx_errors, self._reader.queue_drops(port.index)
            before = self._drops.get(port.index)
            if before is not None:
                dropped[port.name] = _grown(before[0], drops) + _grown(before[1], queue)
                passed += max(0, port.tx_packets - self._port_packets[port.index])
            self._drops[port.index] = drops, queue
            self._port_packets[port.index] = port.tx_packets
        all_drops = sum(dropped.values())
        handed = self._handed()  # not completed: completion is reported in order, and one late frame delays the count
        self._ours = FADING * self._ours + max(0, handed - self._handed_before)
        self._handed_before = handed
        self._port_frames = FADING * self._port_frames + passed + all_drops
        if all_drops:
            share = min(1.0, self._ours / self._port_frames)
            names = ", ".join(sorted(name for name, count in dropped.items() if count))
            frames = round(all_drops * share)
            if frames:
                gaps.append(Gap(since_ns, now_ns, frames, f"{names} below {self.interface}"))
        return gaps

    def blame(self, frames: int, sent: NDArray[np.int64]) -> None:
        """Attribute `frames` lost frames to probes, in proportion to `sent`, the frames sent by probe meanwhile."""
        total = int(sent.sum())
        if total <= 0:
            return
        exact = frames * sent / total
        whole = np.floor(exact).astype(np.int64)
        for place in np.argsort(whole - exact)[: frames - int(whole.sum())]:
            whole[place] += 1
        self.lost_by_probe += whole

    def close(self) -> None:
        """Close the netlink socket."""
        self._reader.close()


def _grown(before: int, now: int) -> int:
    """Return the increase of a counter of at least 32 bits.

    A value below the last one has wrapped if the last one was in the upper half of 32 bits and the new one is in the
    lower half. Otherwise the counter was replaced, for example with its queue, and counts from 0.
    """
    if now >= before:
        return now - before
    return now + U32 - before if before > U32 // 2 and now < U32 // 2 else now


def _names(devices: Sequence[Device]) -> str:
    return ", ".join(device.name for device in devices)
