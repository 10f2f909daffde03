"""Hosts that come and go, as functions of seed, address and time: which /24 behaves how, and which host is up when."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.change import layout as t
from liveness.lab.model.population.answer import KEY, first_above, shuffled
from liveness.mixing import GOLDEN_GAMMA, mix64

NO_BEHAVIOUR: Final = -1

_ZONE: Final = 0x2D358DCCAA6C78A5
_CHOICE: Final = 0x8BB84B93962EACC9
_ALWAYS: Final = 0x4B33A62ED433D4A3
_EARLY: Final = 0x4D5A2DA51DE1AA47
_SHIFTED: Final = 0xAAAAAAAB3C6EF372
_PRESENT: Final = 0xC2B2AE3D27D4EB4F
_SLOT: Final = 0x165667B19E3779F9
_LEASE: Final = 0x27D4EB2F165667C5


@kernel
def word_of(tables: NDArray[np.uint64], salt: int, place: int, number: int) -> int:
    """Return a uint64 drawn for a purpose (`salt`), an address or prefix, and a number such as that of a day."""
    word = mix64(tables[KEY] ^ uint64(salt) ^ (uint64(GOLDEN_GAMMA) * uint64(place + 1)))
    return mix64(word + uint64(GOLDEN_GAMMA) * uint64(number + 1))


@kernel
def is_below(word: int, share: int) -> bool:
    """Return whether a drawn word falls into a share, given in units of 2**-32."""
    return int64(uint64(word) >> uint64(32)) < int64(share)


@kernel
def uniform(word: int, length: int) -> int:
    """Return a number from 0 to length - 1, from a drawn word."""
    return int64(uint64(word) % uint64(length)) if length > 0 else 0


@kernel
def zone_ns(tables: NDArray[np.uint64], at: int, slash16: int) -> int:
    """Return by how much the local time of a /16 (address >> 16) is ahead of UTC, ns."""
    place = uniform(word_of(tables, _ZONE, slash16, 0), int64(tables[at + t.ZONES]))
    return (int64(tables[at + int64(tables[at + t.AT_ZONES]) + place]) - t.WEST_H) * t.HOUR_NS


@kernel
def behaviour_of(tables: NDArray[np.uint64], at: int, slash24: int, site: int) -> int:
    """Return where the words of a /24's behaviour begin, NO_BEHAVIOUR if its hosts are always on."""
    count = int64(tables[at + t.BEHAVIOURS])
    if count == 0:
        return NO_BEHAVIOUR
    choices = at + int64(tables[at + t.AT_CHOICES]) + site * count
    if int64(tables[choices + count - 1]) == 0:  # no behaviour is for this site
        return NO_BEHAVIOUR
    draw = int64(uint64(word_of(tables, _CHOICE, slash24, 0)) >> uint64(32))
    chosen = first_above(tables, choices, count, 1, draw)
    return at + int64(tables[at + t.AT_BEHAVIOURS]) + chosen * t.BEHAVIOUR_WORDS


@kernel
def host_in_pool(tables: NDArray[np.uint64], words: int, address: int, now_ns: int) -> int:
    """Return which of the 256 hosts of a pool has an address now: a permutation for each lease of the /24."""
    slash24, lease_ns = address >> 8, int64(tables[words + t.LEASE])
    # Pools do not renew together: each /24 has a phase of its own.
    phase_ns = uniform(word_of(tables, _LEASE, slash24, 0), lease_ns)
    lease = (now_ns + phase_ns) // lease_ns
    return shuffled(word_of(tables, _LEASE, slash24, lease + 1), address & 255, 8)


@kernel
def _in_hours(tables: NDArray[np.uint64], at: int, words: int, address: int, now_ns: int) -> bool:
    """Return whether a host of a diurnal /24 is up."""
    if is_below(word_of(tables, _ALWAYS, address, 0), int64(tables[words + t.ALWAYS_ON])):
        return True
    local_ns = now_ns + zone_ns(tables, at, address >> 16)
    today = local_ns // t.DAY_NS
    jitter_ns = int64(tables[words + t.JITTER])
    begin_ns = int64(tables[words + t.BEGINS])
    end_ns = begin_ns + int64(tables[words + t.LASTS])
    begin_ns += uniform(word_of(tables, _EARLY, address, 0), 2 * jitter_ns + 1) - jitter_ns
    end_ns += uniform(word_of(tables, _SHIFTED, address, 0), 2 * jitter_ns + 1) - jitter_ns
    # The hours of yesterday may reach past midnight, and those of tomorrow may begin before it.
    for day in range(today - 1, today + 2):
        since_ns = local_ns - day * t.DAY_NS
        weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
        if (
            begin_ns <= since_ns < end_ns
            and int64(tables[words + t.DAY_BITS]) >> weekday & 1
            and is_below(word_of(tables, _PRESENT, address, day), int64(tables[words + t.PRESENT]))
        ):
            return True
    return False


@kernel
def is_up(tables: NDArray[np.uint64], at: int, words: int, address: int, now_ns: int) -> bool:
    """Return whether the host at an address is up now, by the behaviour whose words begin at `words`."""
    kind = int64(tables[words + t.KIND])
    if kind == t.DIURNAL:
        return _in_hours(tables, at, words, address, now_ns)
    if kind == t.SESSIONS:
        slot_ns = int64(tables[words + t.SLOT])
        phase_ns = uniform(word_of(tables, _SLOT, address, 0), slot_ns)
        slot = (now_ns + phase_ns) // slot_ns
        return is_below(word_of(tables, _SLOT, address, slot + 1), int64(tables[words + t.UP]))
    return True
