"""SipHash-2-4 of one 64-bit word (Aumasson and Bernstein 2012): the keyed hash behind every cookie."""

from liveness.kernel import kernel, uint64


@kernel
def _rotate_left(word: int, bits: int) -> int:
    return (word << uint64(bits)) | (word >> uint64(64 - bits))


@kernel
def _sip_round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 += v1
    v1 = _rotate_left(v1, 13) ^ v0
    v0 = _rotate_left(v0, 32)
    v2 += v3
    v3 = _rotate_left(v3, 16) ^ v2
    v0 += v3
    v3 = _rotate_left(v3, 21) ^ v0
    v2 += v1
    v1 = _rotate_left(v1, 17) ^ v2
    v2 = _rotate_left(v2, 32)
    return v0, v1, v2, v3


@kernel
def siphash24(word: int, key0: int, key1: int) -> int:
    """Return the 64-bit SipHash-2-4 of the 8 bytes of `word` (little-endian) under the 128-bit key `key0`, `key1`.

    All arguments and the result are uint64. Rounds are written out one by one: so a loop over words is vectorised.
    """
    length_block = uint64(8) << uint64(56)  # the last block of eight bytes' input: nothing left but their number
    v0 = key0 ^ uint64(0x736F6D6570736575)
    v1 = key1 ^ uint64(0x646F72616E646F6D)
    v2 = key0 ^ uint64(0x6C7967656E657261)
    v3 = key1 ^ uint64(0x7465646279746573) ^ word
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0 ^= word
    v3 ^= length_block
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0 ^= length_block
    v2 ^= uint64(0xFF)
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3
