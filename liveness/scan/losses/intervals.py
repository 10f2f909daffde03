"""Loss intervals: periods in which frames that senders handed over did not reach the targets."""

from dataclasses import dataclass

from liveness.space.intervals import Intervals


@dataclass(frozen=True, slots=True)
class LossInterval:
    """Interval in which what was sent is known to be lost, or must be assumed lost.

    Both times are ns of the monotonic clock (`time.monotonic_ns`), so that changes of the wall clock do not move a
    loss. The interval is as narrow as the observations allow; what may be lost before it is in `before_ns`. The targets
    probed in the interval follow from the positions of the senders, which `scan.losses.order_track` records by the same
    clock.
    """

    start_ns: int
    end_ns: int
    cause: str
    """Cause, as a phrase that can follow "because": "the gateway 10.0.1.1 got another MAC address"."""
    targets: Intervals | None = None
    """Targets that the loss is limited to (those behind one of several next hops); None for all."""
    before_ns: int = 0
    """Time before `start_ns` in which frames may be lost too: they are sent again, and not reported as lost."""
    counted: bool = False
    """Whether frames were lost at an interface of this host, whose counters give the number."""
    ends_ns: tuple[int, ...] = ()
    """When the loss ended for what each sender sends; empty if it ended at `end_ns` for all."""
