"""A population as a census meets it: alive addresses all over IPv4 and their replies, in the order of a scan."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.order.permutation import Permutation
from liveness.replies import REPLY_DTYPE, Kind, Tier
from liveness.scan.plan import Plan

Class = tuple[Kind, int, int]
"""Kind, ICMP type and code of a reply."""

BLOCKS: Final = 8
BLOCK_ADDRESSES: Final = 1 << 29
_PORT: Final = 3
_ROUTER_BITS: Final = np.uint32(0xFF)
"""What turns an address into that of its router: the last of its /24."""

ECHO_REPLY: Final = (Kind.ECHO_REPLY, 0, 0)
SYN_ACK: Final = (Kind.SYN_ACK, 0, 0)
RST: Final = (Kind.RST, 0, 0)
ANSWER: Final = (Kind.ANSWER, 0, 0)
PAYLOAD: Final = (Kind.PAYLOAD, 0, 0)


def _error(code: int, icmp_type: int = 3) -> Class:
    return Kind.ERROR, icmp_type, code


_TCP_ERRORS: Final = {_error(13): 0.03, _error(1): 0.01, _error(0): 0.003, _error(10): 0.003, _error(0, 11): 0.002}
_UDP_ERRORS: Final = {_error(3): 0.15, _error(13): 0.03, _error(1): 0.01, _error(0, 11): 0.002}

SHARES: Final[dict[str, dict[Class, float]]] = {
    "icmp": {ECHO_REPLY: 0.77, _error(1): 0.01, _error(13): 0.015, _error(0, 11): 0.002},
    "tcp/22": {SYN_ACK: 0.044, RST: 0.269} | _TCP_ERRORS,
    "tcp/23": {SYN_ACK: 0.02, RST: 0.218} | _TCP_ERRORS,
    "tcp/80": {SYN_ACK: 0.136, RST: 0.166} | _TCP_ERRORS,
    "tcp/443": {SYN_ACK: 0.106, RST: 0.262} | _TCP_ERRORS,
    "tcp/7547": {SYN_ACK: 0.06, RST: 0.267} | _TCP_ERRORS,
    "dns": {ANSWER: 0.013, PAYLOAD: 0.002} | _UDP_ERRORS,
    "ntp": {ANSWER: 0.015, PAYLOAD: 0.001} | _UDP_ERRORS,
}
"""Of the alive addresses, how many answer each probe how.

Bano et al. 2018: of 487 M addresses 79 % answer ICMP; SYN-ACKs and RSTs by port are those of their released counts of
4 September 2017; of errors they print the order (port unreachable leads for UDP, code 13 for TCP), the rest is guessed.
"""


def replies_of_census(plan: Plan, alive: int, seed: int = 1) -> Iterator[NDArray[np.void]]:
    """Yield the replies of `alive` addresses, spread evenly over IPv4, as batches in REPLY_DTYPE.

    Blocks come one after the other, addresses in a permutation of their block. Each answers both attempts alike, the
    second as many targets later as the plan's queue holds.
    """
    random = np.random.default_rng(seed)
    in_block = alive // BLOCKS
    chunk = max(1, int(plan.config.retransmit.queue * in_block / BLOCK_ADDRESSES))
    for block in range(BLOCKS):
        order = Permutation.of_block(in_block, seed, f"{block}").shard(0, 1).indices().astype(np.int64)
        waiting: list[NDArray[np.void]] = []
        for at in range(0, in_block, chunk):
            # one alive address in each of in_block equal parts, somewhere in it
            parts = order[at : at + chunk]
            addresses = (parts * BLOCK_ADDRESSES + random.integers(0, BLOCK_ADDRESSES, len(parts))) // in_block
            originals = _replies(plan, (addresses + block * BLOCK_ADDRESSES).astype(np.uint32), random)
            yield originals
            for batch in waiting:
                yield _repeats(batch)
            waiting = [originals]
        for batch in waiting:
            yield _repeats(batch)


def _replies(plan: Plan, targets: NDArray[np.uint32], random: np.random.Generator) -> NDArray[np.void]:
    """Return what targets answer to the first attempt of every probe."""
    parts = []
    for index, probe in enumerate(plan.probes):
        classes = SHARES[probe.name]
        drawn = np.searchsorted(np.cumsum(list(classes.values())), random.random(len(targets)), side="right")
        answering = drawn < len(classes)
        kinds = np.array(list(classes), np.uint8)[drawn[answering]]
        replies = np.zeros(len(kinds), REPLY_DTYPE)
        replies["target"] = replies["source"] = targets[answering]
        replies["probe"] = index
        replies["kind"], replies["icmp_type"], replies["icmp_code"] = kinds.T
        replies["tier"] = Tier.STRONG
        by_router = (replies["kind"] == Kind.ERROR) & (replies["icmp_code"] != _PORT)
        replies["source"][by_router] |= _ROUTER_BITS
        parts.append(replies)
    return np.concatenate(parts)


def _repeats(originals: NDArray[np.void]) -> NDArray[np.void]:
    repeats = originals.copy()
    repeats["attempt"] = 1
    return repeats
