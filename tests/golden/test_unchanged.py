"""What must not change while the code does: frames, matches, ground truths and model replies for one key and seed.

The digests were computed before probes became a contract with a registry. A change here breaks resumed runs, offline
replays and comparisons between versions.
"""

import hashlib
import random
from collections.abc import Iterable
from functools import partial

import numpy as np
import pytest

from liveness.config.units import Duration
from liveness.lab.hosts.describe import ground_truth
from liveness.lab.load import load_internet
from liveness.lab.model.responder.conditions import Conditions, Latency
from liveness.packets.parse import FIELDS
from liveness.probes.registry import probes_of_run
from liveness.replies import REPLY_DTYPE
from tests.frames import CONTROL_PORT, Scanner, Settings, sample_replies
from tests.lab.model.responder.support import ALL_NS, NOW_NS, FarEnd, probe_frame, used
from tests.lab.model.services.support import with_services
from tests.probes.mutations import mutated

NAMES = ("icmp", "tcp/22", "tcp/80", "tcp/443", "dns", "ntp", "tcp/control")
"""The probes of the first version; others do not change what these are."""
PROBES = probes_of_run(NAMES[:-1], CONTROL_PORT)
SCANNERS = (
    Scanner(probes=PROBES),
    Scanner(Settings(b"\xff" * 16, 1, 65535, attempts=4, sources=(1, 2**32 - 1, 2**31)), PROBES),
)
TARGETS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xC6336407, 0xFFFFFFFF)
TIMES = (0, 1_795_305_600_123_456_789, 2**63 - 1)
MODEL_PROBES = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp", "tcp/control")


def digest(parts: Iterable[bytes]) -> str:
    """Return the start of the SHA-256 of byte strings, each with its length."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(4, "big") + part)
    return state.hexdigest()[:32]


def frames() -> Iterable[bytes]:
    for scanner in SCANNERS:
        for name in NAMES:
            for target in TARGETS:
                for attempt in range(scanner.settings.attempts):
                    yield from (scanner.frame(name, target, attempt, now_ns) for now_ns in TIMES)


def matches() -> Iterable[bytes]:
    for number, scanner in enumerate(SCANNERS):
        chance = random.Random(number)
        row, records = np.zeros(FIELDS, np.int64), np.zeros(1, REPLY_DTYPE)
        for _ in range(10):
            target = chance.getrandbits(32)
            for name in NAMES:
                for _, frame in sample_replies(scanner, name, target, chance.randrange(scanner.settings.attempts)):
                    for data in (frame, *(mutated(frame, chance) for _ in range(12))):
                        memory = np.frombuffer(data, np.uint8).copy()
                        records[:] = 0
                        status = int(scanner.match(memory, slice(0, len(data)), row, records))
                        yield data
                        yield status.to_bytes(2, "big", signed=True)
                        yield records.tobytes() if status < 0 else b""


def sets_of_the_lab() -> Iterable[bytes]:
    found = ground_truth(load_internet())
    for key in sorted(found, key=lambda key: key.file):
        yield key.file.encode()
        yield found[key].serialize()


def replies_of_the_model(targets: int = 4000) -> Iterable[bytes]:
    """Yield the replies of a population that does not say what open ports do: it sends what it sent before."""
    conditions = Conditions(latency=Latency(median=Duration("30ms"), sigma=0.5), duplicates=0.1, loss=0.05)
    end = FarEnd(with_services(), conditions)
    for target in used(targets):
        for probe in MODEL_PROBES:
            end.take(probe_frame(probe, target))
        yield from end.due(NOW_NS + ALL_NS)


@pytest.mark.parametrize(
    ("name", "made", "expected"),
    [
        ("frames", frames, "80e3693b9df214a9bb11226a3c7db682"),
        ("matches", matches, "81374a217c2cd08b299342378b22d457"),
        ("sets of the default lab", sets_of_the_lab, "76e7a27c7b5089e614ca26d9f8ee47ce"),
        ("replies of a small model", partial(replies_of_the_model, 300), "afb1390c75afb813468b9aaccc891c3a"),
        pytest.param(
            "replies of the model", replies_of_the_model, "b439da9f2fb4329794eeaf8727b63c6b", marks=pytest.mark.bulk
        ),
    ],
)
def test_same_bytes_as_before(name: str, made: object, expected: str) -> None:
    assert callable(made)
    assert (name, digest(made())) == (name, expected)
