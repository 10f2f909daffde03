"""Hostile input: garbage and mutated replies never raise, and never prove what was not probed."""

import random

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from liveness.packets.parse import ACCEPTED, FIELDS
from liveness.replies import REPLY_DTYPE, UNKNOWN_ATTEMPT, Kind, Tier
from tests.frames import (
    ADDRESSES,
    NAMES,
    Reply,
    Scanner,
    sample_replies,
)
from tests.probes.mutations import mutated, sample_frames

SCANNER = Scanner()


@given(st.binary(max_size=200))
@example(b"")
def test_garbage_is_rejected(data: bytes) -> None:
    behind_ethernet = bytes(12) + b"\x08\0" + data
    for frame in (data, behind_ethernet, behind_ethernet[:14] + b"\x45" + data):
        for check in (True, False):
            reply = SCANNER.read(frame, check_ip=check, check_transport=check)
            assert not isinstance(reply, Reply) or reply.tier == Tier.WEAK


@given(ADDRESSES, st.integers(0, 1), st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_a_mutated_reply_proves_nothing_that_was_not_probed(
    target: int, attempt: int, name: str, chance: random.Random
) -> None:
    for _, frame in sample_replies(SCANNER, name, target, attempt):
        for _ in range(3):
            reply = SCANNER.read(mutated(frame, chance), check_ip=False, check_transport=False)
            if isinstance(reply, Reply) and reply.tier == Tier.STRONG:
                assert (reply.probe, reply.target) == (name, target)
                assert reply.attempt < 2 or (reply.attempt == UNKNOWN_ATTEMPT and reply.kind == Kind.ERROR)
                assert reply.source == target or reply.kind in (Kind.ERROR, Kind.ECHO_REPLY)


def test_what_lies_around_a_frame_does_not_matter() -> None:
    statuses = set()
    for frame in sample_frames(SCANNER, 3, mutations=4, seed=11):
        seen: list[tuple[int, bytes | None]] = []
        for fill in (0x00, 0xFF):
            memory, row = np.full(len(frame) + 400, fill, np.uint8), np.full(FIELDS, fill, np.int64)
            memory[200 : 200 + len(frame)] = np.frombuffer(frame, np.uint8)
            records = np.zeros(1, REPLY_DTYPE)
            status = SCANNER.match(memory, slice(200, 200 + len(frame)), row, records)
            seen.append((status, records.tobytes() if status == ACCEPTED else None))
        assert seen[0] == seen[1]
        statuses.add(seen[0][0])
    assert ACCEPTED in statuses
    assert len(statuses) > 8
