"""Next hops: which MAC address the frame to each target is handed to, where there is more than one of them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.space.intervals import ADDRESS_SPACE, Intervals

MAC_WORDS: Final = 3
DESTINATION_AT: Final = hdr.ETHERNET_LENGTH + hdr.IPV4_DESTINATION


class Hops(NamedTuple):
    """Next hops by address: `macs[i]` is that of the addresses from `first[i]` up to the next one. Never empty."""

    first: NDArray[np.uint32]  # ascending, 0 first
    macs: NDArray[np.uint16]  # (intervals, 3) words in wire order
    own: NDArray[np.uint16]  # (3,) of the interface that frames leave by


def hops_of(parts: Sequence[tuple[bytes, Intervals]], own: bytes) -> Hops:
    """Return the hops of pairs of a MAC address and the targets it serves; the first serves everybody else too.

    `own` is the MAC address of the interface.
    """
    first = np.concatenate([part.first for _, part in parts[1:]] or [np.empty(0, np.uint32)]).astype(np.int64)
    end = np.concatenate([part.last for _, part in parts[1:]] or [np.empty(0, np.uint32)]).astype(np.int64) + 1
    of = np.repeat(np.arange(1, len(parts)), [len(part) for _, part in parts[1:]])
    # where one part ends the first hop serves again, unless another part begins there: that comes later and stays
    at = np.concatenate(([0], end, first))
    hop = np.concatenate(([0], np.zeros(len(end), np.int64), of))
    order = np.argsort(at, kind="stable")
    at, hop = at[order], hop[order]
    last_word = np.append(at[1:] > at[:-1], True) & (at < ADDRESS_SPACE)
    macs = np.array([np.frombuffer(mac, np.uint16) for mac, _ in parts])
    return Hops(at[last_word].astype(np.uint32), macs[hop[last_word]], np.frombuffer(own, np.uint16))


def with_neighbours(hops: Hops, addresses: NDArray[np.uint32], macs: NDArray[np.uint8]) -> Hops:
    """Return the hops with addresses that are handed to a MAC address of their own: ascending, macs (addresses, 6)."""
    next_addresses = addresses.astype(np.int64) + 1
    next_addresses = next_addresses[next_addresses < ADDRESS_SPACE]
    after = hops.macs[np.searchsorted(hops.first, next_addresses.astype(np.uint32), side="right") - 1]
    at = np.concatenate((hops.first.astype(np.int64), next_addresses, addresses.astype(np.int64)))
    all_macs = np.concatenate((hops.macs, after, np.ascontiguousarray(macs).view(np.uint16)))
    # behind a neighbour the hop of before serves again, unless another neighbour is there: that comes later and stays
    order = np.argsort(at, kind="stable")
    at = at[order]
    last_word = np.append(at[1:] > at[:-1], True)
    return Hops(at[last_word].astype(np.uint32), all_macs[order][last_word], hops.own)


@kernel
def put_hops(
    words: NDArray[np.uint16],
    frame: int,
    step: int,
    first: NDArray[np.uint32],
    macs: NDArray[np.uint16],
    targets: NDArray[np.uint32],
) -> None:
    """Write the next hop of each target into its frame; they begin at words[frame], words[frame + step] and so on."""
    for i in range(len(targets)):
        low, high = 0, len(first)
        while high - low > 1:
            middle = (low + high) >> 1
            if int64(first[middle]) <= int64(targets[i]):
                low = middle
            else:
                high = middle
        for word in range(MAC_WORDS):
            words[frame + word] = macs[low, word]
        frame += step


def redirect(frames: NDArray[np.uint8], hops: Hops) -> None:
    """Give finished frames (frames, bytes) in place the MAC addresses that they have to have now."""
    targets = frames[:, DESTINATION_AT : DESTINATION_AT + 4].astype(np.uint32) @ np.array(
        [1 << 24, 1 << 16, 1 << 8, 1], np.uint32
    )
    at = np.searchsorted(hops.first, targets, side="right") - 1
    frames[:, : 2 * MAC_WORDS] = hops.macs[at].view(np.uint8)
    frames[:, 2 * MAC_WORDS : 4 * MAC_WORDS] = hops.own.view(np.uint8)
