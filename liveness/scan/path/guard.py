"""Path guard: reacts to changes of the path by a pause, by other next hops, or by ending the run."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from liveness.errors import LivenessError
from liveness.net.lan import Neighbours
from liveness.net.path.observation import Observation
from liveness.net.path.watch import PathWatch
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.order_track import OrderTrack
from liveness.scan.losses.reply_track import ReplyTrack
from liveness.scan.path.neighbourhood import hops_with
from liveness.scan.path.record import PathRecord
from liveness.scan.shared import ENDED, HOLD_PATH, Shared
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals, union

IN_FLIGHT_NS: Final = 500_000_000
"""Replies to probes sent up to this long before a link went down may have been in flight."""
QUEUED_NS: Final = 100_000_000
"""Frames sent up to this long before may have waited in a queue of this host."""
NS: Final = 1_000_000_000


@dataclass(slots=True)
class _Pause:
    """Current pause: its cause, since when the path was broken, and whether its loss has been reported."""

    what: str
    cause: str
    since_ns: int
    began_ns: int
    reported: bool = False


@dataclass(slots=True)
class _Redirection:
    """New next hops that senders have not all taken over yet, and what is lost until they have."""

    generation: int
    since_ns: int
    cause: str
    targets: Intervals | None


@dataclass(slots=True)
class PathGuard:
    """Path guard of one session. `look` is called ten times a second."""

    watch: PathWatch
    shared: Shared
    record: PathRecord
    end: Callable[[str], None]
    """Called with the reason why the run cannot continue."""
    notice: Callable[[str], None]
    """Called with a line for the user."""
    lost: Callable[[LossInterval], None]
    """Called with each known loss."""
    withdraw: Callable[[Intervals], None]
    """Called with targets that must not be probed any more."""
    longest_pause_s: float
    track: OrderTrack
    """What senders have handed over, over time."""
    _neighbours: Neighbours = field(init=False)
    """Targets on the link itself, with their current MAC addresses. A next hop can be among them."""
    _pause: _Pause | None = field(default=None, init=False)
    _redirections: list[_Redirection] = field(default_factory=list, init=False)
    _replies: ReplyTrack = field(init=False)
    _unpublished: bool = field(default=False, init=False)
    _downs: int = field(default=0, init=False)
    _before_ns: int = field(default_factory=time.monotonic_ns, init=False)
    _ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Start with the neighbours that were found before the run."""
        self._neighbours = self.watch.path.neighbours
        self._replies = ReplyTrack(self.track, self.shared.arrivals)

    @property
    def problem(self) -> str | None:
        """Why senders are paused now, or None if they are not."""
        return None if self._pause is None else self._pause.cause

    def look(self) -> None:
        """Check the path and react to changes."""
        if self._ended:
            return
        try:
            observation = self.watch.look()
        except LivenessError as error:
            self.notice(f"WARNING: the way to the targets is not watched any more: {error}")
            self.record.add("link", str(error), "noted")
            self._ended = True
            return
        self._mark()
        self._take(observation)
        self._before_ns = observation.at_ns

    def _take(self, observation: Observation) -> None:
        for line in observation.rerouted:
            self.record.add("route", line, "redirected" if observation.redirect else "noted")
            self.notice(f"route: {line}")
        self._leave_out(observation)
        if observation.gone is not None:
            self._give_up(observation.gone, observation)
            return
        problem, since_ns, what = self._problem(observation)
        if problem is not None:
            self._hold(problem, since_ns, what, observation.at_ns)
        self._unpublished |= observation.redirect
        for move in observation.moved:
            self._neighbours = self._neighbours.moved(move.before, move.gateway.mac)
        for neighbour in observation.neighbours:
            self._neighbours = self._neighbours.at(neighbour.address, neighbour.mac)
        if problem is None or what != "neighbour":
            self._redirect(observation)
        if problem is None and self._pause is not None:
            self._resume(observation.at_ns)
        self._settle(time.monotonic_ns())  # a look takes time, and senders may have sent meanwhile

    def _problem(self, observation: Observation) -> tuple[str | None, int, str]:
        """Return the current problem, since when, and its kind. Senders may see link failures that no check saw."""
        downs = int(self.shared.downs.sum())
        flapped, self._downs = downs > self._downs, downs
        if observation.what == "neighbour" and self._pause is None and self._replies_come(observation):
            return None, 0, ""  # replies still come, so the gateway works: it is only too busy to answer ARP
        if observation.problem is None and flapped:
            return f"interface {self.watch.path.interface} was down for a moment", self._before_ns, "link"
        return observation.problem, observation.since_ns, observation.what

    def _replies_come(self, observation: Observation) -> bool:
        """Return whether replies come as before the problem, which shows that the only gateway still forwards."""
        return len(self.watch.shares) == 1 and self._replies.come_since(observation.since_ns, observation.at_ns)

    def _broken(
        self,
        since_ns: int,
        until_ns: int,
        cause: str,
        targets: Intervals | None = None,
        ends_ns: tuple[int, ...] = (),
    ) -> LossInterval:
        """Return the loss on a path that was last known to work at `since_ns`.

        If the loss concerns all targets, the replies show when the path broke.
        """
        self._mark()
        found_ns = self._replies.broken_from(since_ns, until_ns) if targets is None else None
        start_ns = since_ns if found_ns is None else found_ns
        before_ns = start_ns - since_ns + QUEUED_NS
        return LossInterval(start_ns, until_ns, cause, targets, before_ns=before_ns, ends_ns=ends_ns)

    def _mark(self) -> None:
        """Record the positions of the senders: between two records, they are taken to send steadily."""
        self.track.note(time.monotonic_ns(), self.shared)

    def _leave_out(self, observation: Observation) -> None:
        for part in observation.null:
            self.record.add("route", str(part), "left-out", part.targets.count)
            self.notice(f"route: {part}: nothing more is sent to them")
        if observation.null:
            null = union(part.targets for part in observation.null)
            self.withdraw(null)
            cause = f"{null.count:,} targets got null routes, or are now addresses of this host"
            self.lost(LossInterval(observation.changed_ns, observation.at_ns, cause, null, before_ns=QUEUED_NS))

    def _hold(self, problem: str, since_ns: int, what: str, now_ns: int) -> None:
        if self._pause is None:
            self._pause = _Pause(what, problem, since_ns, now_ns)
            self.shared.pause(HOLD_PATH)
            self.record.add(what, problem, "paused")
            self.notice(f"paused: {problem}")
        elif now_ns - self._pause.began_ns > self.longest_pause_s * NS:
            self._report_pause(now_ns)
            self._end(f"{problem}, for {self.longest_pause_s:,.0f} s by now")

    def _resume(self, now_ns: int) -> None:
        pause = self._pause
        if pause is None:
            return
        self._report_pause(now_ns)
        self._pause = None
        self.shared.resume(HOLD_PATH)
        lasted_s = (now_ns - pause.began_ns) / NS
        self.record.add("link", f"the path works again after {lasted_s:.1f} s ({pause.cause})", "resumed")
        self.notice(f"continuing after {lasted_s:.1f} s: the path to the targets works again")

    def _report_pause(self, now_ns: int) -> None:
        """Report the loss of a pause. Called when all senders are paused, or at the end of the pause."""
        pause = self._pause
        if pause is None or pause.reported:
            return
        pause.reported = True
        if pause.what == "link":
            self.lost(LossInterval(pause.since_ns, now_ns, pause.cause, before_ns=IN_FLIGHT_NS, counted=True))
        else:
            self.lost(self._broken(pause.since_ns, now_ns, pause.cause))

    def _redirect(self, observation: Observation) -> None:
        """Publish the next hops if they have changed and all their MAC addresses are known."""
        hops = self.watch.hops
        if not self._unpublished or not all(mac for mac, _ in hops):
            return
        self._unpublished = False
        self._mark()  # what is sent from now until senders use the new next hops is lost
        try:
            generation = self.shared.hops.publish(hops_with(hops, self._neighbours, self.watch.near, self.watch.mac))
        except LivenessError as error:
            self._end(str(error))
            return
        for move in observation.moved:
            detail = f"gateway {move.gateway.name}: {move.before.hex(':')} became {move.gateway.mac.hex(':')}"
            part = self.watch.shares.get(move.gateway.address, Intervals.empty())
            self.record.add("neighbour", detail, "redirected", part.count)
            self.notice(f"{detail}: senders use it from now on")
            targets = part if len(self.watch.shares) > 1 else None
            self._redirections.append(_Redirection(generation, move.since_ns, detail, targets))
        for neighbour in observation.neighbours:
            name = format_address(neighbour.address)
            detail = f"neighbour {name}: {neighbour.before.hex(':')} became {neighbour.mac.hex(':')}"
            self.record.add("neighbour", detail, "redirected", 1)
            self.notice(f"{detail}: senders use it from now on")
            alone = Intervals.from_bounds([neighbour.address], [neighbour.address])
            self._redirections.append(_Redirection(generation, neighbour.since_ns, detail, alone))
        if observation.rerouted:
            self._redirections.append(
                _Redirection(generation, observation.changed_ns, "; ".join(observation.rerouted), None)
            )

    def _settle(self, now_ns: int) -> None:
        """Report losses that are over because all senders have paused or taken over the new next hops."""
        if self._pause is not None and self.shared.all_held():
            self._report_pause(now_ns)
        waiting = []
        for redirection in self._redirections:
            ends_ns = self._taken_over(redirection, now_ns)
            if ends_ns or self.shared.all_held():
                until_ns = max(redirection.since_ns, *ends_ns) if ends_ns else now_ns
                self.lost(self._broken(redirection.since_ns, until_ns, redirection.cause, redirection.targets, ends_ns))
            else:
                waiting.append(redirection)
        self._redirections = waiting

    def _taken_over(self, redirection: _Redirection, now_ns: int) -> tuple[int, ...]:
        """Return when each sender took over new next hops; empty if one still has to. Their positions are recorded."""
        hops = self.shared.hops
        ended = [held == ENDED for held in self.shared.held.tolist()]
        if not all(
            over or taken >= redirection.generation for over, taken in zip(ended, hops.taken.tolist(), strict=True)
        ):
            return ()
        self._mark()
        for sender, over in enumerate(ended):
            if not over:
                at_ns, tick, handed = (int(row[sender]) for row in (hops.taken_ns, hops.taken_tick, hops.taken_handed))
                self.track.insert(sender, at_ns, tick, handed)
        return tuple(
            now_ns if over else max(redirection.since_ns, min(now_ns, taken_ns))
            for over, taken_ns in zip(ended, hops.taken_ns.tolist(), strict=True)
        )

    def _give_up(self, reason: str, observation: Observation) -> None:
        """End the run. What was sent since the path was last seen to work is lost."""
        self.shared.pause(HOLD_PATH)
        since_ns = observation.changed_ns or self._before_ns
        self.lost(LossInterval(since_ns, time.monotonic_ns(), reason, before_ns=IN_FLIGHT_NS))
        self._end(reason)

    def _end(self, reason: str) -> None:
        self._ended = True
        self.record.add("route" if "rout" in reason else "link", reason, "ended")
        self.end(reason)
