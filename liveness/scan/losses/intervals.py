"""Known losses: intervals of time in which frames that senders handed over did not reach the targets."""

from dataclasses import dataclass

from liveness.space.intervals import Intervals


@dataclass(frozen=True, slots=True)
class LossInterval:
    """An interval in which what was sent is known, or must be taken, to be lost.

    Both times are ns of the monotonic clock (`time.monotonic_ns`): a step of the time of day moves no loss. The
    interval is as narrow as what was seen allows: what may be lost besides is in `before_ns`. Which targets were probed
    in it follows from where senders stood, which `scan.losses.order_track` notes by the same clock.
    """

    start_ns: int
    end_ns: int
    cause: str
    """What happened, as a phrase that can follow "because": "the gateway 10.0.1.1 got another MAC address"."""
    targets: Intervals | None = None
    """The only targets that it concerns (those behind one of several next hops); None for all."""
    before_ns: int = 0
    """For how long before `start_ns` frames may have been lost too: they are sent again, and not reported as lost."""
    counted: bool = False
    """Whether frames were lost at an interface of this host: its counters say how many."""
