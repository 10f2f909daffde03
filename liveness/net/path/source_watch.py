"""Watch over the source addresses: whether they are still addresses of this host."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from liveness.net.path.netlink import Netlink
from liveness.net.path.routing import RouteType, decide_for
from liveness.space.addresses import format_address

CHECK_EVERY_NS: Final = 1_000_000_000
NAMES_SHOWN: Final = 4


@dataclass(slots=True)
class SourceWatch:
    """Watch over those of `sources` that were addresses of this host at the beginning, `present_ns`."""

    netlink: Netlink
    sources: Sequence[int]
    present_ns: int
    """When all of them were last seen to be addresses of this host."""
    local: list[int] = field(init=False)
    """Sources that are watched."""
    missing: str | None = field(default=None, init=False)
    """The problem if some of them are not this host's any more, otherwise None."""
    _checked_ns: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Query the kernel about each source."""
        self.local = [source for source, is_local in self._are_local(self.sources) if is_local]

    def changed(self) -> None:
        """Check the sources the next time, because addresses of this host have changed."""
        self._checked_ns = 0

    def look(self, now_ns: int) -> None:
        """Check the sources, once a second and after changes, and update `missing` and `present_ns`."""
        if now_ns < self._checked_ns + CHECK_EVERY_NS or not self.local:
            if self.missing is None:
                self.present_ns = now_ns if self._checked_ns else self.present_ns
            return
        self._checked_ns = now_ns
        lost = [source for source, is_local in self._are_local(self.local) if not is_local]
        self.missing = None
        if lost:
            names = ", ".join(format_address(source) for source in lost[:NAMES_SHOWN])
            self.missing = f"source address {names} is not this host's any more"
        else:
            self.present_ns = now_ns

    def _are_local(self, sources: Sequence[int]) -> list[tuple[int, bool]]:
        decisions = decide_for(self.netlink, sources, None, None)
        return [(source, found.kind is RouteType.LOCAL) for source, found in zip(sources, decisions, strict=True)]
