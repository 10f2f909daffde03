"""The answer of a population's address to a probe, packed into one number, and the router that sends its errors.

Everything follows from the seed and the address by hashing. The address is examined from its top: the part of its /8
and /16 that is in use decides whether its /24 is in use; the /24 has a kind (a site, its share of used addresses, the
gateway that answers for unused ones); a few short prefixes in it are tarpits; any other address is used or not, and a
used address has one of the profiles of the site's mix. The tables hold numbers of the model, and their size does not
depend on the address space (`tables.py` defines which number is where).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.twins.registry import TWINS
from liveness.mixing import GOLDEN_GAMMA, mix64

IN_WORDS: Final = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp", "tcp/control")
"""Probes for which a population file has a word. Any other TCP port is treated as the control probe."""
PROBES: Final = (*IN_WORDS, *(twin.name for twin in TWINS if twin.name not in IN_WORDS))
"""Probes that a population answers; the number of a probe is its index here. Those without a word come last."""
_WIDTH: Final = len(PROBES)

ICMP: Final = 0
DNS: Final = 6
NTP: Final = 7
CONTROL_TCP: Final = 8

SILENT: Final = 0
ANSWERED: Final = 1  # echo reply, SYN-ACK, valid answer over UDP
RESET: Final = 2  # TCP RST
PAYLOAD: Final = 3  # a UDP payload that is not a valid answer
ERROR: Final = 4  # ICMP error
BOTH: Final = 5  # SYN-ACK and then RST, to the same SYN

WHAT_MASK: Final = 0xF
TYPE_SHIFT: Final = 8
CODE_SHIFT: Final = 16
BYTE_MASK: Final = 0xFF
FROM_ROUTER: Final = 1 << 24

# The header of the tables: start and length of each part, and single numbers.
KEY: Final = 0
AT_SLASH8: Final = 1
AT_SLASH16: Final = 2
AT_SPECIAL: Final = 3
SPECIALS: Final = 4
AT_KINDS: Final = 5
KINDS: Final = 6
AT_MIXES: Final = 7
PROFILES: Final = 8
TARPIT_SHARE: Final = 9  # of the prefixes that may be tarpits, in 2**-32
TARPIT_BITS: Final = 10  # host bits of such a prefix
TARPIT_ROW: Final = 11
AT_TARPITS: Final = 12
TARPITS: Final = 13
GATEWAY_ROW: Final = 14
AT_GATEWAYS: Final = 15
GATEWAYS: Final = 16
GAP_ROW: Final = 17
LAST_HOST: Final = 18  # share of gateways at .254 instead of .1, in 2**-32
AT_ANSWERS: Final = 19
AT_TIME: Final = 20  # 0 if nothing changes with time; see liveness.lab.model.change
AT_VANTAGES: Final = 21  # 0 if all places see the same; see liveness.lab.model.origin
AT_SERVICES: Final = 22  # 0 if every open port speaks its protocol; see liveness.lab.model.services
HEADER: Final = 23

UNUSED_SLASH8: Final = 1 << 16  # in the entry of a /8: all of it is special-purpose
PARTLY_SPECIAL: Final = 1 << 17  # part of it is special-purpose

KIND_WORDS: Final = 5  # of a kind of /24: cumulative share, share of addresses in use, its mix, its gap + 1, tarpits
KIND_USED: Final = 1
KIND_MIX: Final = 2
KIND_GAP: Final = 3
KIND_TARPITS: Final = 4

WIDE: Final = 0xFFFFFFFF
_SITE: Final = 0xA0761D6478BD642F
_TARPIT: Final = 0xE7037ED1A0B428DB
_GATEWAY: Final = 0x8EBC6AF09C88C6E3


@kernel
def shuffled(key: int, place: int, bits: int) -> int:
    """Return the image of `place` under a keyed permutation of the numbers below 2**bits (key: uint64)."""
    # Multiplication by an odd number modulo 2**bits and an xor with the upper half are both invertible,
    # so that each round, and therefore the whole, is a bijection.
    mask = uint64((1 << bits) - 1)
    half = uint64(bits // 2)
    word = (uint64(place) * (key | uint64(1)) + (key >> uint64(16))) & mask
    word ^= word >> half
    word = (word * ((key >> uint64(32)) | uint64(1)) + (key >> uint64(48))) & mask
    return int64(word ^ (word >> half))


@kernel
def first_above(tables: NDArray[np.uint64], at: int, count: int, stride: int, draw: int) -> int:
    """Return the index of the first of `count` ascending cumulative shares above `draw`, the last index at most.

    The shares are `stride` words apart.
    """
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        if int64(tables[at + middle * stride]) > draw:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def active24s(tables: NDArray[np.uint64], slash16: int) -> int:
    """Return how many of the 256 /24s in a /16 (address >> 16) are in use, special-purpose ones included."""
    entry = int64(tables[int64(tables[AT_SLASH8]) + (slash16 >> 8)])
    if entry & UNUSED_SLASH8:
        return 0
    key = mix64(tables[KEY] + uint64(GOLDEN_GAMMA) * uint64((slash16 >> 8) + 1))
    rank = shuffled(key, slash16 & 255, 8)
    return int64(tables[int64(tables[AT_SLASH16]) + (entry & 255) * 256 + rank])


@kernel
def is_active(tables: NDArray[np.uint64], slash24: int) -> bool:
    """Return whether a /24 (address >> 8) is in use. /24s in use are adjacent in groups of four where possible."""
    slash16 = slash24 >> 8
    wanted = active24s(tables, slash16)
    if wanted == 0:
        return False
    key = mix64(tables[KEY] ^ (uint64(GOLDEN_GAMMA) * uint64(slash16 + 1)))
    # The shuffle permutes groups of four adjacent /24s; two bits of the key reorder the /24s within each group.
    rank = shuffled(key, (slash24 >> 2) & 63, 6) * 4 + ((slash24 ^ int64(key >> uint64(62))) & 3)
    if rank >= wanted:
        return False
    if int64(tables[int64(tables[AT_SLASH8]) + (slash24 >> 16)]) & PARTLY_SPECIAL:
        at = int64(tables[AT_SPECIAL])
        for index in range(int64(tables[SPECIALS])):
            if int64(tables[at + 2 * index]) <= slash24 <= int64(tables[at + 2 * index + 1]):
                return False
    return True


@kernel
def kind_of(tables: NDArray[np.uint64], slash24: int) -> int:
    """Return the kind of a /24 (address >> 8), -1 if it is not in use."""
    if not is_active(tables, slash24):
        return -1
    draw = mix64(tables[KEY] ^ uint64(_SITE) ^ (uint64(GOLDEN_GAMMA) * uint64(slash24 + 1)))
    return first_above(tables, int64(tables[AT_KINDS]), int64(tables[KINDS]), KIND_WORDS, int64(draw >> uint64(32)))


@kernel
def router_of(tables: NDArray[np.uint64], address: int) -> int:
    """Return the router that sends errors about `address`: the gateway of its /24. Both are in host order."""
    slash24 = int64(address) >> 8
    draw = mix64(tables[KEY] ^ uint64(_GATEWAY) ^ (uint64(GOLDEN_GAMMA) * uint64(slash24 + 1)))
    return slash24 << 8 | (254 if int64(draw >> uint64(32)) < int64(tables[LAST_HOST]) else 1)


@kernel
def gap_row(tables: NDArray[np.uint64], kind: int) -> int:
    """Return the row of an unused address in a /24 of this kind; 0 for silence."""
    gap = int64(tables[int64(tables[AT_KINDS]) + kind * KIND_WORDS + KIND_GAP]) - 1
    return int64(tables[GAP_ROW]) + gap if gap >= 0 else 0


@kernel
def host_row(tables: NDArray[np.uint64], slash24: int, kind: int, index: int) -> int:
    """Return the row of host `index` of 256 in a /24 (address >> 8) of this kind, that of a gap if it has no host."""
    words = int64(tables[AT_KINDS]) + kind * KIND_WORDS
    site = mix64(tables[KEY] + (uint64(GOLDEN_GAMMA) * uint64(slash24 + 1)))
    # The upper half of the draw decides whether there is a host, the lower half which profile it has.
    word = mix64(site + uint64(GOLDEN_GAMMA) * uint64(index + 1))
    if int64(word >> uint64(32)) >= int64(tables[words + KIND_USED]):
        return gap_row(tables, kind)
    count = int64(tables[PROFILES])
    mix = int64(tables[AT_MIXES]) + int64(tables[words + KIND_MIX]) * count
    return 1 + first_above(tables, mix, count, 1, int64(word & uint64(WIDE)))


@kernel
def fixed_row(tables: NDArray[np.uint64], address: int, kind: int) -> int:
    """Return the row of a gateway or tarpit in a used /24 of this kind; -1 for any other address."""
    slash24 = address >> 8
    words = int64(tables[AT_KINDS]) + kind * KIND_WORDS
    gap = int64(tables[words + KIND_GAP]) - 1
    site = mix64(tables[KEY] + (uint64(GOLDEN_GAMMA) * uint64(slash24 + 1)))
    if gap >= 0 and router_of(tables, address) == address:
        draw = int64(mix64(site ^ uint64(_GATEWAY)) >> uint64(32))
        count = int64(tables[GATEWAYS])
        return (
            int64(tables[GATEWAY_ROW]) + gap * count + first_above(tables, int64(tables[AT_GATEWAYS]), count, 1, draw)
        )
    # Tarpits are whole prefixes: one draw by prefix decides, one by address chooses how it answers.
    if tables[words + KIND_TARPITS]:
        prefix = (address & 255) >> int64(tables[TARPIT_BITS])
        word = mix64(site ^ uint64(_TARPIT) ^ uint64(prefix))
        if int64(word >> uint64(32)) < int64(tables[TARPIT_SHARE]):
            draw = int64(mix64(word + uint64(GOLDEN_GAMMA) * uint64((address & 255) + 1)) >> uint64(32))
            chosen = first_above(tables, int64(tables[AT_TARPITS]), int64(tables[TARPITS]), 1, draw)
            return int64(tables[TARPIT_ROW]) + chosen
    return -1


@kernel
def row_in(tables: NDArray[np.uint64], address: int, kind: int) -> int:
    """Return the row of answers of an address in a used /24 of this kind; 0 for silence."""
    row = fixed_row(tables, address, kind)
    return row if row >= 0 else host_row(tables, address >> 8, kind, address & 255)


@kernel
def row_of(tables: NDArray[np.uint64], address: int) -> int:
    """Return the row of answers of an address (host order); 0 for silence."""
    kind = kind_of(tables, int64(address) >> 8)
    return row_in(tables, int64(address), kind) if kind >= 0 else 0


@kernel
def answer_of(tables: NDArray[np.uint64], address: int, probe: int) -> int:
    """Return the answer of `address` (host order) to probe number `probe`, packed as the constants above define."""
    row = row_of(tables, address)
    return int64(tables[int64(tables[AT_ANSWERS]) + row * _WIDTH + probe]) if row > 0 else SILENT


@kernel
def rows_of(tables: NDArray[np.uint64], addresses: NDArray[np.uint32], out: NDArray[np.uint16]) -> None:
    """Write the row of every address. Ascending addresses are fastest: the kind of each /24 is looked up once."""
    slash24, kind = -1, -1
    for index in range(len(addresses)):
        address = int64(addresses[index])
        if address >> 8 != slash24:
            slash24 = address >> 8
            kind = kind_of(tables, slash24)
        out[index] = row_in(tables, address, kind) if kind >= 0 else 0


@kernel
def routers_of(tables: NDArray[np.uint64], addresses: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    """Write the router of every address."""
    for index in range(len(addresses)):
        out[index] = router_of(tables, int64(addresses[index]))
