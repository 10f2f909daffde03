"""Progress: a snapshot of a running scan, read from shared memory, for whoever shows it."""

from dataclasses import dataclass
from typing import Final

from liveness.scan.plan import Plan
from liveness.scan.shared import Shared


@dataclass(frozen=True, slots=True)
class ProbeProgress:
    """One probe so far: frames sent, frames planned, replies accepted (duplicates included)."""

    name: str
    sent: int
    planned: int
    replies: int


@dataclass(frozen=True, slots=True)
class LossesSeen:
    """What is known of losses so far."""

    silent: bool = False
    """Whether replies have stopped."""
    lost: int = 0
    """Probes that are known to have been lost on the way, those sent again since included."""
    repaired: int = 0
    """Probes that were sent again."""
    given_up_s: float = 0.0
    """Time that senders could not keep up with the rate."""


NO_LOSSES: Final = LossesSeen()


@dataclass(frozen=True, slots=True)
class Progress:
    """A scan so far."""

    elapsed_s: float
    probes: tuple[ProbeProgress, ...]
    blocks_drained: int
    blocks: int
    packets: int
    rejected: int
    kernel_drops: int
    nic_drops: int
    send_errors: int
    """Frames that were handed over and never left, or that the interface dropped."""
    rate_pps: float
    """Packets a second of each probe that senders keep to."""
    sending: bool
    """False once the last sender has ended."""
    losses: LossesSeen = NO_LOSSES
    problem: str | None = None
    """Why senders are paused, None if they are not."""

    @property
    def sent(self) -> int:
        """Frames sent for all probes."""
        return sum(probe.sent for probe in self.probes)

    @property
    def planned(self) -> int:
        """Frames planned for all probes."""
        return sum(probe.planned for probe in self.probes)


def observe(
    plan: Plan,
    shared: Shared,
    elapsed_s: float,
    nic_drops: int,
    *,
    sending: bool,
    losses: LossesSeen = NO_LOSSES,
    problem: str | None = None,
    unresolved: int = 0,
) -> Progress:
    """Return a snapshot of a scan that has been going for `elapsed_s`; `nic_drops` are those of its interface.

    `unresolved` targets get nothing, for they are not there: no frame to them is planned.
    """
    sent = shared.sent_in_all.sum(axis=(0, 2))
    planned = (plan.target_count - unresolved) * plan.attempts
    accepted = shared.accepted.sum(axis=0)
    return Progress(
        elapsed_s=elapsed_s,
        probes=tuple(
            ProbeProgress(probe.name, int(sent[index]), planned, int(accepted[index]))
            for index, probe in enumerate(plan.probes)
        ),
        blocks_drained=shared.blocks_drained(),
        blocks=len(plan.order.parts),
        packets=int(shared.packets.sum()),
        rejected=int(shared.rejected.sum()),
        kernel_drops=int(shared.kernel_drops.sum()),
        nic_drops=nic_drops,
        send_errors=int(shared.send_errors.sum() + shared.dropped.sum()),
        rate_pps=shared.pace_pps(),
        losses=losses,
        sending=sending,
        problem=problem,
    )
