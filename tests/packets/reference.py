"""The cookie written a second time, from paper and design, in plain Python: what the kernels are judged by."""

from dataclasses import dataclass

MASK = 2**64 - 1


def siphash24_bytes(data: bytes, key: bytes) -> int:
    """Return SipHash-2-4 of any input (Aumasson and Bernstein 2012, section 2)."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    for at in range(0, len(padded), 8):
        block = int.from_bytes(padded[at : at + 8], "little")
        state[3] ^= block
        for _ in range(2):
            _sip_round(state)
        state[0] ^= block
    state[2] ^= 0xFF
    for _ in range(4):
        _sip_round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & MASK


def _sip_round(v: list[int]) -> None:
    for a, b, c, d, left, right in ((0, 1, 2, 3, 13, 16), (2, 1, 0, 3, 17, 21)):
        v[a] = (v[a] + v[b]) & MASK
        v[c] = (v[c] + v[d]) & MASK
        v[b] = _rotated(v[b], left) ^ v[a]
        v[d] = _rotated(v[d], right) ^ v[c]
        v[a] = _rotated(v[a], 32)


@dataclass(frozen=True)
class ExpectedCookie:
    """What a probe to `target` must carry, read off the design: bits of the hash and where they go."""

    target: int
    protocol: int
    port: int
    key: bytes

    @property
    def hashed(self) -> int:
        word = self.target | (self.protocol << 16 | self.port) << 32
        return siphash24_bytes(word.to_bytes(8, "little"), self.key)

    def bits(self, first: int, last: int) -> int:
        """Return bits `first` to `last` of the hash, both included, 0 the lowest."""
        return self.hashed >> first & (1 << (last - first + 1)) - 1

    @property
    def ip_id(self) -> int:
        return self.bits(16, 31)

    @property
    def sequence(self) -> int:
        return self.bits(32, 63)

    @property
    def transaction(self) -> int:
        return self.bits(32, 47)

    @property
    def timestamp(self) -> bytes:
        """The NTP transmit timestamp and the echo payload's hash, as they lie on the wire."""
        return self.hashed.to_bytes(8, "big")

    def echo(self, attempt: int) -> tuple[int, int]:
        """Return identifier and sequence number: the upper 32 bits, the attempt added to the number."""
        return self.bits(48, 63), (self.bits(32, 47) + attempt) & 0xFFFF

    def source_port(self, first: int, last: int, attempts: int, attempt: int) -> int:
        stride = (last - first + 1) // attempts
        return first + attempt * stride + (self.bits(0, 15) * stride >> 16)
