"""Effects of the network on packets: queues of links, rate limits of routers, loss on paths."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
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
from liveness.mixing import mix64

MANY_CYCLES = 50
"""After this many mean cycles without use, a path's last state says nothing about its state now."""


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

    The state of a path is updated when a packet uses it: good and bad periods of exponential length alternate.
    """
    if settings[BURST_SHARE] > 0:
        path = address >> settings[PATH_SHIFT]
        until_ns = path_until_ns[direction, path]
        bad = path_bad[direction, path] != 0
        # After a long pause, draw the state from its stationary distribution instead of simulating every period.
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
    """Return how long a packet waits for the scanner's link, or -1 if the queue is full and the packet lost."""
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
    """Return whether a router has exhausted its rate limit of errors; if not, count this error.

    The token buckets are in a hash table without chains: a router that takes the place of another begins with a full
    bucket.
    """
    if settings[LIMIT_NS] == 0:
        return False
    place = int64(mix64(uint64(router)) % uint64(len(routers)))
    if int64(routers[place]) != router:
        routers[place] = router
        router_busy_ns[place] = 0
    # The bucket as a time: each error occupies LIMIT_NS, and at most LIMIT_BURST_NS may lie in the future.
    busy_ns = max(router_busy_ns[place], now_ns)
    if busy_ns + settings[LIMIT_NS] - now_ns > settings[LIMIT_BURST_NS]:
        return True
    router_busy_ns[place] = busy_ns + settings[LIMIT_NS]
    return False
