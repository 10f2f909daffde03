"""Result of one check of the path to the targets."""

from dataclasses import dataclass

from liveness.net.path.gateways import Moved
from liveness.net.path.neighbourhood import NeighbourMoved
from liveness.net.path.path import LeftOut


@dataclass(frozen=True, slots=True)
class Observation:
    """Result of one check. Times are ns of the monotonic clock."""

    at_ns: int
    problem: str | None = None
    """Why some or all targets cannot be reached now; this may be temporary."""
    what: str = "link"
    """Part that has the problem: ``link``, ``address``, ``neighbour`` or ``route``."""
    since_ns: int = 0
    """When that part was last seen to work."""
    gone: str | None = None
    """Why the scan cannot continue, even after waiting."""
    moved: tuple[Moved, ...] = ()
    """Next hops with a new MAC address."""
    neighbours: tuple[NeighbourMoved, ...] = ()
    """Targets on the link itself with a new MAC address."""
    rerouted: tuple[str, ...] = ()
    """Changes of routes, one line each, with which the targets are still reached."""
    changed_ns: int = 0
    """When the routes were last seen unchanged."""
    redirect: bool = False
    """Whether `PathWatch.hops` has changed since the previous check."""
    null: tuple[LeftOut, ...] = ()
    """Targets that must not be probed any more: null routes, and new addresses of this host."""
