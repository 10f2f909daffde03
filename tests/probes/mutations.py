"""Mutated frames: valid replies with some bytes changed, cut off or put in, by a seeded generator."""

import random
from collections.abc import Iterator

from tests.frames import NAMES, Scanner, sample_replies

BITS = tuple(1 << bit for bit in range(8))
EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x45, 0x4F, 0x06, 0x11)


def mutated(frame: bytes, chance: random.Random) -> bytes:
    """Return a frame with one to four changes behind its Ethernet addresses."""
    data = bytearray(frame)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(12, len(data)) if len(data) > 12 else 0
        match chance.randrange(6):
            case 0 | 1:
                data[at] ^= chance.choice(BITS)
            case 2:
                data[at] = chance.choice(EXTREMES)
            case 3:
                data[at : at + 2] = chance.randbytes(2)
            case 4:
                del data[at if chance.random() < 0.3 else len(data) - chance.randint(0, 9) :]
            case _:
                data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 20)))
        if len(data) <= 12:
            break
    return bytes(data)


def sample_frames(scanner: Scanner, targets: int, mutations: int, seed: int) -> Iterator[bytes]:
    """Yield replies of every kind for some random targets, each followed by mutations of it."""
    chance = random.Random(seed)
    for _ in range(targets):
        target = chance.getrandbits(32)
        for name in NAMES:
            for _, frame in sample_replies(scanner, name, target, chance.randrange(scanner.settings.attempts)):
                yield frame
                yield from (mutated(frame, chance) for _ in range(mutations))
