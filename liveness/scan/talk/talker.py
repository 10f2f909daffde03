"""The talker process: it takes events of the receivers, and sends requests, repeats and resets at a limited rate."""

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.applications.timing import BURST_S
from liveness.errors import InterfaceDownError
from liveness.kernel import fence
from liveness.net.ring import TxRing
from liveness.probes.fill import flat_words
from liveness.probes.hops import MAC_WORDS, Hops, redirect
from liveness.probes.run_constants import RunConstants, with_hops
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.scan.talk.actions import ACTION_WIDTH
from liveness.scan.talk.conversations import take_events
from liveness.scan.talk.due import empty_verdicts, take_time, take_withdrawn
from liveness.scan.talk.memory import FINISHED, SWEPT, WRITTEN, Conversations, conversations
from liveness.scan.talk.segments import fill_actions, requests_of
from liveness.scan.talk.shared import COUNTS, LATE_NS, WIDTH, TalkShared
from liveness.space.intervals import Intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ACTIONS: Final = 256
"""Frames of one round."""
IDLE_S: Final = 0.001
"""Sleep when there is nothing to do: a request leaves at most so long after its SYN-ACK was received."""
HORIZON_MARGIN_S: Final = 60.0
"""Added to the time between an original and its last repeat: pauses of the scan and slow networks."""
FLUSH_S: Final = 2.0
ABORT_S: Final = 10.0
"""Time in which aborted talks are reset, at the rate of talks; the kernel resets the rest."""
SLOT_BYTES: Final = 2048


def horizon_s(plan: Plan) -> float:
    """Return the longest time between an original and its last repeat, for which a service is remembered."""
    lag_s = (plan.attempts - 1) * plan.config.retransmit.queue / plan.rate_pps
    return 2 * lag_s + plan.cooldown_s + HORIZON_MARGIN_S


def warm_up(plan: Plan, constants: RunConstants) -> None:
    """Compile the kernels of talking, or load them from the cache, by one round that sends nothing."""
    if not plan.talks:
        return
    held = conversations(plan.key, np.zeros(len(COUNTS), np.int64), places=2, logged=2)
    actions, verdicts = np.zeros((1, ACTION_WIDTH), np.int64), empty_verdicts(1)
    nobody, events = Intervals.empty(), np.zeros((1, WIDTH), np.int64)
    take_withdrawn(held, 0, nobody.first, nobody.last, actions, 0)
    take_time(held, 0, 1, False, actions, 0, verdicts)
    take_events(held, events, 0, 0, 0, 0, 0, True, nobody.first, nobody.last, actions, 0)
    requests = requests_of(plan.probes, constants, plan.config.contact)
    ports, lengths = np.zeros(len(plan.probes), np.int64), np.zeros(1, np.uint16)
    frames = np.zeros(SLOT_BYTES, np.uint8)
    fill_actions(actions, 0, 0, constants, requests, ports, 64, frames, SLOT_BYTES, 0, lengths)
    fence()


class Talker:
    """The talker of a run; `run` talks until the scan ends, and ends the talks under way."""

    def __init__(
        self,
        plan: Plan,
        constants: RunConstants,
        ring: TxRing,
        shared: Shared,
        held: Conversations | None = None,
    ) -> None:
        """Prepare to talk. ValueError if the session has no memory for talks."""
        if shared.talk is None:
            raise ValueError("a session without applications has no talks")
        self._talk: TalkShared = shared.talk
        self._shared = shared
        self._constants = constants
        self._ring = ring
        words, step = flat_words(ring.frames)
        self._flat: NDArray[np.uint8] = words.view(np.uint8)
        self._step = step * words.itemsize
        self._requests = requests_of(plan.probes, constants, plan.config.contact)
        self._ports = np.array([probe.port for probe in plan.probes], np.int64)
        self._ttl = plan.config.network.ttl
        self._wait_ns = int(plan.config.talk.wait.seconds * 1e9)
        self._horizon_ns = int(horizon_s(plan) * 1e9)
        self._rate_pps = plan.config.talk.rate.pps or 0.0
        self._held = held or conversations(plan.key, self._talk.counts)
        if self._talk.resumed:  # the talks of the session before are all forgotten
            self._held.forgotten[:] = time.monotonic_ns()
        self._actions = np.zeros((MOST_ACTIONS, ACTION_WIDTH), np.int64)
        self._verdicts = empty_verdicts(MOST_ACTIONS)
        self._lengths: NDArray[np.uint16] = np.zeros(len(ring.frames), np.uint16)
        self._withdrawn = Intervals.empty()
        self._hops = Hops(constants.hop_first, constants.hop_macs, constants.templates[0, MAC_WORDS : 2 * MAC_WORDS])
        self._generations = (0, 0)
        self._turn = 0
        self._allowed = 0.0
        self._looked_s = time.monotonic()

    def run(self) -> None:
        """Talk until no new talk may begin and the last one is over, or until all talks are aborted."""
        try:
            while not self._talk.aborted:
                busy = self.step()
                if not busy and self._talk.finishing and self.idle():
                    break
                if not busy:
                    time.sleep(IDLE_S)
            until_s = time.monotonic() + ABORT_S
            while self._talk.aborted and not self.idle() and time.monotonic() < until_s:
                if not self.step():
                    time.sleep(IDLE_S)
            self._ring.flush(FLUSH_S)
        finally:
            self._ring.close()

    def idle(self) -> bool:
        """Return whether no talk is under way and no event waits."""
        pointers = self._held.pointers
        return bool(pointers[WRITTEN] == pointers[FINISHED] and (self._talk.written == self._talk.read).all())

    def step(self) -> bool:
        """Do what is due; return whether there was anything."""
        self._look()
        room = self._room()
        if room == 0:
            return False
        actions = self._actions[:room]
        now_ns = time.monotonic_ns()
        first, last = self._withdrawn.first, self._withdrawn.last
        late_before_ns = time.time_ns() - LATE_NS
        at = take_withdrawn(self._held, now_ns, first, last, actions, 0)
        at, mute = take_time(self._held, now_ns, self._wait_ns, self._talk.aborted, actions, at, self._verdicts)
        if mute:
            self._talk.give_verdicts(self._verdicts[:mute])
        took = mute
        receivers = len(self._talk.events)
        self._turn = (self._turn + 1) % receivers  # another one is served first each time
        for receiver in (*range(self._turn, receivers), *range(self._turn)):
            begin, end = int(self._talk.read[receiver]), int(self._talk.written[receiver])
            if begin == end:
                continue
            fence()
            taken, at = take_events(
                self._held,
                self._talk.events[receiver],
                begin,
                end,
                now_ns,
                self._horizon_ns,
                late_before_ns,
                not (self._talk.finishing or self._talk.aborted),
                first,
                last,
                actions,
                at,
            )
            fence()
            self._talk.read[receiver] = begin + taken
            took += taken
        self._send(at)
        self._talk.under_way[0] = self._held.pointers[WRITTEN] - self._held.pointers[FINISHED]
        return at > 0 or took > 0

    def _room(self) -> int:
        """Return how many frames may be sent now, by the rate and by the ring."""
        now_s = time.monotonic()
        self._allowed = min(
            self._allowed + (now_s - self._looked_s) * self._rate_pps, max(1.0, self._rate_pps * BURST_S)
        )
        self._looked_s = now_s
        if self._ring.waiting:
            self._kick()
        _, free = self._ring.reserve(min(int(self._allowed), MOST_ACTIONS))
        return free

    def _send(self, count: int) -> None:
        """Fill and send the frames of the first `count` actions."""
        if not count:
            return
        first, free = self._ring.reserve(count)
        assert free == count  # noqa: S101 - reserved before, and reserving again returns the same slots
        fill_actions(
            self._actions,
            0,
            count,
            self._constants,
            self._requests,
            self._ports,
            self._ttl,
            self._flat,
            self._step,
            first,
            self._lengths,
        )
        if len(self._constants.hop_first):
            redirect(self._ring.frames[first : first + count], self._hops)
        self._ring.commit(count, self._lengths)
        self._allowed -= count
        self._kick()

    def _kick(self) -> None:
        """Make the kernel send; while the interface is down, the frames stay in the ring."""
        try:
            self._ring.kick()
        except InterfaceDownError:
            time.sleep(IDLE_S)

    def _look(self) -> None:
        """Take over new next hops and newly withdrawn targets."""
        shared = self._shared
        generations = (shared.hops.generation, shared.withdrawn.generation)
        if generations == self._generations:
            return
        if generations[0] != self._generations[0]:
            _, self._hops = shared.hops.read()
            self._constants = with_hops(self._constants, self._hops)
        if generations[1] != self._generations[1]:
            _, self._withdrawn = shared.withdrawn.read()
            self._held.pointers[SWEPT] = self._held.pointers[FINISHED]
        self._generations = generations
