"""Memory shared by supervisor, senders and receivers: counters, flags, the lag record. Each number has one writer."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.order.order import Position
from liveness.runs.checkpoint import Checkpoint
from liveness.runs.counters import Counts, declared, shape_of
from liveness.scan.losses.repairs import RepairDesk
from liveness.scan.memory import shared_zeros
from liveness.scan.path.hop_table import HopTable
from liveness.scan.plan import Plan
from liveness.scan.send.activity import Activities
from liveness.scan.send.answered import entries_for
from liveness.scan.send.positions import Positions
from liveness.scan.send.withdrawn import WithdrawnList
from liveness.system.privileges import CONFINEMENTS

HOLD_PATH: Final = 1
"""Bit of `Shared.hold`: the way to the targets is broken (no carrier, no gateway, no source address)."""
HOLD_SILENCE: Final = 2
"""Bit of `Shared.hold`: replies have stopped coming."""
ENDED: Final = -1
"""Stands in `Shared.held` for a sender that has ended."""


def _shared_parts(shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.int64]]:
    """Return shared arrays of these shapes, cut from one: the kernel limits the number of mappings."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    whole = shared_zeros((int(ends[-1]),), np.int64)
    return [part.reshape(shape) for part, shape in zip(np.split(whole, ends[:-1]), shapes, strict=True)]


class Shared(Counts):
    """What the processes of a scan report to each other: its counters, and flags, positions and lists."""

    def __init__(self, plan: Plan) -> None:
        senders, receivers, lanes = plan.senders, plan.receivers, len(plan.probes) * plan.attempts
        lengths = {"sender": senders, "receiver": receivers, "probe": len(plan.probes), "attempt": plan.attempts}
        for name, counter in declared().items():
            setattr(
                self, name, shared_zeros(shape_of(counter, lengths), np.float64 if counter.unit == "s" else np.int64)
            )
        self.counts_told = plan.only_unanswered
        """What an earlier session has sent is known by its checkpoint alone: not everybody was sent everything."""
        self.stop, self.finish = _shared_parts([(1,), (1,)])
        """1: senders shall stop; no more replies are awaited and receivers shall end. Written by the supervisor."""
        self.hold, self.held, self.downs = _shared_parts([(1,), (senders,), (senders,)])
        """`hold` is why senders shall pause, HOLD_PATH and HOLD_SILENCE together, 0 to send. Written by the supervisor
        alone, through `pause` and `go_on`; a sender obeys within a batch, and repeats in `held` what it has obeyed, 0
        while it sends. From then on it draws no target, fills no frame and kicks none. Paused time is neither caught up
        nor counted in `given_up_s`, and makes the cooldown longer. One that waits for other senders or cools down has
        nothing to send, and obeys all the same. One that has ended has ENDED, and holds nothing up. `downs` counts
        how often each sender met an interface that was down."""
        self.rate_pps: NDArray[np.float64] = shared_zeros((1,), np.float64)
        """Packets a second of each probe, all senders together. Written by the supervisor."""
        self.rate_pps[0] = plan.load.start_pps
        self.ready: NDArray[np.int64] = shared_zeros((receivers,), np.int64)
        """1: this receiver has compiled its kernels and listens."""
        self._share_repairs(plan, lanes)
        self.drained: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """Blocks whose lanes a sender has drained."""
        self.positions = Positions(senders, lanes)
        """Where each sender stands."""
        self.on_disk_ns: NDArray[np.int64] = shared_zeros((receivers,), np.int64)
        """What each receiver had taken off its ring by then is on disk; ns of the monotonic clock."""
        self.confined: NDArray[np.int64] = shared_zeros((receivers, len(CONFINEMENTS)), np.int64)
        """1: this receiver is confined in that way."""
        self.answered: NDArray[np.uint32] = (
            shared_zeros((entries_for(plan.config.retransmit.queue),), np.uint32)
            if plan.only_unanswered
            else np.zeros(0, np.uint32)
        )
        """The table of answered probes, empty unless only unanswered ones are repeated. Receivers share it: where two
        mark a place at once one mark may be lost, and a repeat be sent that was not needed."""
        self.withdrawn = WithdrawnList()
        """The addresses that senders shall send nothing to any more. Written by the supervisor."""
        self.hops = HopTable(senders)
        """The next hops of frames, once they are others than the run began with. Written by the supervisor."""
        self.marks: list[NDArray[np.int64]] = _shared_parts(
            [(senders, lanes, plan.order.marks(part, plan.share(0))) for part in range(len(plan.order.parts))]
        )
        """A block at a time: when each sender's lanes passed each mark, ns of the monotonic clock, 0 not yet."""

    def _share_repairs(self, plan: Plan, lanes: int) -> None:
        """Share what is sent again, and what tells that it must be."""
        senders = plan.senders
        self.repairs = RepairDesk(senders, lanes)
        """Where senders that have sent a block ask what to send again."""
        self.activities = Activities(senders, lanes)
        """Which ticks each sender sends, whether for the first time or again."""
        self.trickle_pps: NDArray[np.float64] = shared_zeros((1,), np.float64)
        """While replies have stopped: a rate so low that few targets are spent, and replies still show that it is over;
        0 otherwise. Written by the supervisor."""

    def begin_at(self, checkpoint: Checkpoint, finished: int) -> None:
        """Begin where senders stood in an earlier session of the run, which had probed `finished` targets' blocks."""
        for sender, position in enumerate(checkpoint.positions):
            self.positions.tell(sender, Position(block=position.block, tick=position.tick))
        self.drained[:] = checkpoint.block
        self.sent_before[0] = checkpoint.sent if self.counts_told else finished

    def tell_position(self, sender: int, position: Position) -> None:
        """Say where a sender stands."""
        self.positions.tell(sender, position)

    def positions_now(self) -> list[Position]:
        """Return where each sender stands."""
        return self.positions.now()

    def pause(self, reason: int) -> None:
        """Have senders pause for a reason, HOLD_PATH or HOLD_SILENCE, besides those that hold them already."""
        self.hold[0] |= reason

    def go_on(self, reason: int) -> None:
        """Take back one reason to pause; senders go on when none is left."""
        self.hold[0] &= ~reason

    def all_held(self) -> bool:
        """Return whether every sender has obeyed the present `hold`, or has ended: nothing is sent any more."""
        wanted = int(self.hold[0])
        return wanted != 0 and all(held == ENDED or held & wanted == wanted for held in self.held.tolist())

    @property
    def sent_in_all(self) -> NDArray[np.int64]:
        """What was sent in all sessions, for each sender, probe and attempt, each target once."""
        return self.sent + self.sent_before

    def pace_pps(self) -> float:
        """Return the packets a second of each probe that senders shall keep to now."""
        rate_pps, trickle_pps = self.rate_pps.item(), self.trickle_pps.item()
        return min(rate_pps, trickle_pps) if trickle_pps else rate_pps

    def stopping(self) -> bool:
        """Return whether senders shall stop."""
        return self.stop.item() != 0

    def blocks_drained(self) -> int:
        """Return how many blocks all senders have drained."""
        return int(self.drained.min())
