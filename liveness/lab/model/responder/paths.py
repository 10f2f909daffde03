"""What happens to packets on their way: links and routers that are busy, paths that are bad for a while."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.population.answer import mixed
from liveness.lab.model.responder.draws import chance, exponential_ns
from liveness.lab.model.responder.state import (
    BURST_BAD_NS,
    BURST_GOOD_NS,
    BURST_LOSS,
    BURST_SHARE,
    LIMIT_BURST_NS,
    LIMIT_NS,
    LINK_BUSY_NS,
    LINK_NS,
    LINK_QUEUE_NS,
    LOSS,
    PATH_SHIFT,
)

MANY_CYCLES = 50
"""A path nobody used for so long is in a state that says nothing of the one it was in."""


@kernel
def is_lost(
    path_until_ns: NDArray[np.int64],
    path_bad: NDArray[np.uint8],
    settings: NDArray[np.int64],
    stream: NDArray[np.uint64],
    direction: int,
    address: int,
    now_ns: int,
) -> bool:
    """Return whether a packet to (direction 0) or from (1) an address is lost now, alone or in a burst.

    A path's state is brought up to date when a packet meets it: it stays good and bad for exponential times in turn.
    """
    if settings[BURST_SHARE] > 0:
        path = address >> settings[PATH_SHIFT]
        until_ns = path_until_ns[direction, path]
        bad = path_bad[direction, path] != 0
        if now_ns - until_ns > MANY_CYCLES * (settings[BURST_GOOD_NS] + settings[BURST_BAD_NS]):
            bad = chance(stream, settings[BURST_SHARE])
            until_ns = now_ns + exponential_ns(stream, settings[BURST_BAD_NS if bad else BURST_GOOD_NS])
        while until_ns <= now_ns:
            bad = not bad
            until_ns += exponential_ns(stream, settings[BURST_BAD_NS if bad else BURST_GOOD_NS])
        path_until_ns[direction, path] = until_ns
        path_bad[direction, path] = 1 if bad else 0
        if bad and chance(stream, settings[BURST_LOSS]):
            return True
    return bool(chance(stream, settings[LOSS]))


@kernel
def link_delay_ns(numbers: NDArray[np.int64], settings: NDArray[np.int64], now_ns: int) -> int:
    """Return how long a packet waits for the scanner's link, or -1 if its queue is full and the packet lost."""
    if settings[LINK_NS] == 0:
        return 0
    waits_ns = max(0, numbers[LINK_BUSY_NS] - now_ns)
    if waits_ns > settings[LINK_QUEUE_NS]:
        return -1
    numbers[LINK_BUSY_NS] = now_ns + waits_ns + settings[LINK_NS]
    return int64(waits_ns)


@kernel
def is_limited(
    routers: NDArray[np.uint32],
    router_busy_ns: NDArray[np.int64],
    settings: NDArray[np.int64],
    router: int,
    now_ns: int,
) -> bool:
    """Return whether a router has sent its share of errors for now; if not, this one is counted.

    Each has a bucket in a table by hash, where one that shares its place with another begins with a full one.
    """
    if settings[LIMIT_NS] == 0:
        return False
    place = int64(mixed(uint64(router)) % uint64(len(routers)))
    if int64(routers[place]) != router:
        routers[place] = router
        router_busy_ns[place] = 0
    busy_ns = max(router_busy_ns[place], now_ns)
    if busy_ns + settings[LIMIT_NS] - now_ns > settings[LIMIT_BURST_NS]:
        return True
    router_busy_ns[place] = busy_ns + settings[LIMIT_NS]
    return False
