"""Memory shared by supervisor, senders and receivers: counters, flags, lag record. Each number has a single writer."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.order.order import Position
from liveness.runs.checkpoint import Checkpoint
from liveness.runs.counters import Counts, declared, shape_of
from liveness.scan.losses.repairs import RepairRequests
from liveness.scan.path.hop_table import HopTable
from liveness.scan.plan import Plan
from liveness.scan.receive.arrivals import Arrivals
from liveness.scan.send.answered import entries_for
from liveness.scan.send.positions import Activities, Positions
from liveness.scan.send.withdrawn import WithdrawnList
from liveness.scan.shared_memory import shared_zeros
from liveness.scan.talk.shared import TalkShared
from liveness.system.privileges import CONFINEMENTS

HOLD_PATH: Final = 1
"""Bit of `Shared.hold`: the path to the targets is broken (no carrier, no gateway, no source address)."""
HOLD_SILENCE: Final = 2
"""Bit of `Shared.hold`: replies have stopped."""
ENDED: Final = -1
"""Stands in `Shared.held` for a sender that has ended."""


def _shared_parts(shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.int64]]:
    """Return shared arrays of these shapes in a single mapping, because the kernel limits the number of mappings."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    whole = shared_zeros((int(ends[-1]),), np.int64)
    return [part.reshape(shape) for part, shape in zip(np.split(whole, ends[:-1]), shapes, strict=True)]


class Shared(Counts):
    """Shared memory of the processes of a scan: counters, flags, positions and lists."""

    def __init__(self, plan: Plan) -> None:
        senders, receivers, lanes = plan.senders, plan.receivers, len(plan.probes) * plan.attempts
        lengths = {"sender": senders, "receiver": receivers, "probe": len(plan.probes), "attempt": plan.attempts}
        for name, counter in declared().items():
            setattr(
                self, name, shared_zeros(shape_of(counter, lengths), np.float64 if counter.unit == "s" else np.int64)
            )
        self.publishes_counts = plan.only_unanswered
        """Whether only the checkpoint knows what an earlier session has sent, because some targets got fewer probes."""
        self.stop, self.finish = _shared_parts([(1,), (1,)])
        """Flags written by the supervisor. `stop` 1: senders have to stop. `finish` 1: no more replies are awaited, and
        receivers have to end."""
        self.hold, self.held, self.downs = _shared_parts([(1,), (senders,), (senders,)])
        """`hold` has the reasons why senders have to pause, HOLD_PATH and HOLD_SILENCE as bits, and is 0 while they may
        send. Only the supervisor writes it, by `pause` and `resume`. A sender obeys within a batch and copies the value
        that it obeys to `held`, which is 0 while it sends. While it is held it draws no target, fills no frame and does
        not kick its ring. Paused time is neither caught up nor counted in `given_up_s`, and extends the cooldown. A
        sender that waits for other senders or is in its cooldown has nothing to send, and obeys as well. A sender that
        has ended has the value ENDED. `downs` counts how often each sender found the interface down."""
        self.rate_pps: NDArray[np.float64] = shared_zeros((1,), np.float64)
        """Packets per second of each probe, over all senders. Written by the supervisor."""
        self.rate_pps[0] = plan.load.start_pps
        self.ready: NDArray[np.int64] = shared_zeros((receivers,), np.int64)
        """1: this receiver has compiled its kernels and listens."""
        self._share_repairs(plan, lanes)
        self.began_ns: NDArray[np.int64] = shared_zeros((senders, len(plan.order.parts)), np.int64)
        """Time at which each sender began each part in this session; ns since 1970, 0 before."""
        self.drained: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """Number of blocks that each sender has sent and drained."""
        self.positions = Positions(senders, lanes)
        """Position of each sender."""
        self.on_disk_ns: NDArray[np.int64] = shared_zeros((receivers,), np.int64)
        """Time up to which all packets that a receiver has taken off its ring are on disk; ns, monotonic clock."""
        self.confined: NDArray[np.int64] = shared_zeros((receivers, len(CONFINEMENTS)), np.int64)
        """1: this confinement is in force for this receiver, (receivers, CONFINEMENTS)."""
        self.answered: NDArray[np.uint32] = (
            shared_zeros((entries_for(plan.config.retransmit.queue),), np.uint32)
            if plan.only_unanswered
            else np.zeros(0, np.uint32)
        )
        """The table of answered probes, empty unless only unanswered probes are repeated. All receivers write it: if
        two mark the same place at once, a mark may be lost, and an unneeded repeat is sent."""
        self.talk = TalkShared(receivers) if plan.talks else None
        """Events of connections and verdicts on them, between receivers and talker; None if nobody is talked to."""
        self.arrivals = Arrivals(receivers)
        """How many accepted replies had arrived at each receiver over time. Written by the receivers."""
        self.withdrawn = WithdrawnList()
        """Addresses that senders must not probe any more. Written by the supervisor."""
        self.hops = HopTable(senders)
        """The next hops of frames, once they differ from those at the start of the run. Written by the supervisor."""
        self.marks: list[NDArray[np.int64]] = _shared_parts(
            [(senders, lanes, plan.order.marks(part, plan.share(0))) for part in range(len(plan.order.parts))]
        )
        """For each block, the times at which lanes passed marks, (senders, lanes, marks); ns of the monotonic clock, 0
        if not yet."""

    def _share_repairs(self, plan: Plan, lanes: int) -> None:
        """Create the shared memory of repairs, of activities, and of the rate during silence."""
        senders = plan.senders
        self.repairs = RepairRequests(senders, lanes)
        """Requests of senders that have sent a block for stretches to send again, and the supervisor's answers."""
        self.activities = Activities(senders, lanes)
        """The ticks that each sender sends, for the first time or as a repair."""
        self.trickle_pps: NDArray[np.float64] = shared_zeros((1,), np.float64)
        """Rate during a silence, 0 otherwise: low, so that few targets are lost, but high enough that replies show the
        end of the silence. Written by the supervisor."""

    def begin_at(self, checkpoint: Checkpoint, finished: int) -> None:
        """Set positions and counts to those of an earlier session, as recorded in its checkpoint.

        `finished` is the number of targets in the blocks before that of the checkpoint.
        """
        for sender, position in enumerate(checkpoint.positions):
            lags = position.lags  # kept: a sender reports its own only after it has skipped what was sent before
            begins = position.begins or lags
            self.positions.publish(sender, Position(block=position.block, tick=position.tick, lags=lags, begins=begins))
        self.drained[:] = checkpoint.block
        self.sent_before[0] = checkpoint.sent if self.publishes_counts else finished
        if self.talk is not None:
            self.talk.resumed = len(checkpoint.manifest.resumed) > 0

    def publish_position(self, sender: int, position: Position) -> None:
        """Publish the position of a sender."""
        self.positions.publish(sender, position)

    def positions_now(self) -> list[Position]:
        """Return the position of each sender."""
        return self.positions.now()

    def pause(self, reason: int) -> None:
        """Add a reason to pause, HOLD_PATH or HOLD_SILENCE, to those that hold senders already."""
        self.hold[0] |= reason

    def resume(self, reason: int) -> None:
        """Remove one reason to pause; senders continue when none is left."""
        self.hold[0] &= ~reason

    def all_held(self) -> bool:
        """Return whether every sender obeys the current `hold` or has ended, so that nothing is sent any more."""
        wanted = int(self.hold[0])
        return wanted != 0 and all(held == ENDED or held & wanted == wanted for held in self.held.tolist())

    def handed(self, sender: int) -> int:
        """Return the frames that a sender has handed over in this session, repairs included."""
        return int(self.sent[sender].sum() + self.repaired[sender].sum())

    @property
    def sent_in_all(self) -> NDArray[np.int64]:
        """Frames sent in all sessions, (senders, probes, attempts). Each target counts once; repairs do not count."""
        return self.sent + self.sent_before

    def pace_pps(self) -> float:
        """Return the current rate for senders, in packets per second of each probe."""
        rate_pps, trickle_pps = self.rate_pps.item(), self.trickle_pps.item()
        return min(rate_pps, trickle_pps) if trickle_pps else rate_pps

    def stopping(self) -> bool:
        """Return whether senders have to stop."""
        return self.stop.item() != 0

    def blocks_drained(self) -> int:
        """Return the number of blocks that all senders have drained."""
        return int(self.drained.min())
