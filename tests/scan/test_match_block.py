"""Matching a receive block: every packet is accepted, or counted under its reason, as packets matched one at a time."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveness.packets import block as blk
from liveness.packets.block import pack_block, packet_count
from liveness.packets.parse import FIELDS
from liveness.replies import REPLY_DTYPE, Kind, Rejection
from liveness.scan.receive.match_block import match_block
from liveness.scan.send.answered import MIN_ENTRIES, has_answered
from tests.frames import EVERYWHERE, NAMES, NOW_NS, Reply, Scanner, Targets, in_words, intervals, sample_replies
from tests.probes.mutations import sample_frames

SCANNER = Scanner()
NOBODY_ASKS = np.zeros(0, np.uint32)
TARGET = 0xC6336407


def harvested(
    block: NDArray[np.uint8],
    *,
    verify: bool = True,
    targets: Targets = EVERYWHERE,
    answered: NDArray[np.uint32] = NOBODY_ASKS,
) -> tuple[list[Reply], dict[Rejection, int]]:
    """Return the accepted replies of a block, and how many packets were rejected for each reason."""
    replies = np.zeros(int(packet_count(block)), REPLY_DTYPE)
    rejected = np.zeros(len(Rejection), np.int64)
    count = match_block(
        block, verify, SCANNER.constants, *targets, replies, rejected, answered, np.zeros(FIELDS, np.int64)
    )
    return [in_words(reply) for reply in replies[:count]], {
        Rejection(reason): int(n) for reason, n in enumerate(rejected) if n
    }


def stamped(frames: list[bytes]) -> list[tuple[int, bytes]]:
    return [(NOW_NS + number * 1_000_003, frame) for number, frame in enumerate(frames)]


def one_by_one(
    packets: list[tuple[int, bytes]], *, verify: bool = True, targets: Targets = EVERYWHERE
) -> tuple[list[Reply], dict[Rejection, int]]:
    results = [
        SCANNER.read(frame, time_ns, check_ip=verify, check_transport=verify, targets=targets)
        for time_ns, frame in packets
    ]
    replies = [result for result in results if isinstance(result, Reply)]
    return replies, Counter(result for result in results if isinstance(result, Rejection))


def test_a_block_of_mixed_frames_is_matched_like_single_frames() -> None:
    packets = stamped(list(sample_frames(SCANNER, 4, mutations=5, seed=5)))
    block = pack_block(packets)
    some = intervals((0, 2**30), (2**31, 2**32 - 1))
    for verify, targets in ((True, EVERYWHERE), (False, EVERYWHERE), (True, some), (False, some)):
        replies, rejected = harvested(block, verify=verify, targets=targets)
        assert len(replies) + sum(rejected.values()) == len(packets)
        assert (replies, rejected) == one_by_one(packets, verify=verify, targets=targets)
        assert len(replies) > len(packets) // 10
        assert len(rejected) > 5


@given(st.lists(st.binary(max_size=90), max_size=8))
def test_a_block_of_anything_is_counted(frames: list[bytes]) -> None:
    valid = bytes(sample_replies(SCANNER, "icmp", TARGET, 1)[0][1])
    packets = stamped([*frames, valid])
    replies, rejected = harvested(pack_block(packets))
    assert replies == [SCANNER.read(valid, packets[-1][0])]
    assert sum(rejected.values()) == len(frames)


def test_an_empty_block_holds_nothing() -> None:
    assert harvested(pack_block([])) == ([], {})


def first_packet(block: NDArray[np.uint8]) -> int:
    return int(block[blk.BLOCK_FIRST : blk.BLOCK_FIRST + 4].view(np.uint32)[0])


def test_unfinished_checksums_are_not_looked_at_where_the_kernel_says_so() -> None:
    for name, rejection in (("tcp/80", Rejection.BAD_TCP_CHECKSUM), ("dns", Rejection.BAD_UDP_CHECKSUM)):
        kind, frame = sample_replies(SCANNER, name, TARGET, 0)[0]
        unfinished = bytearray(frame)
        unfinished[34 + (16 if name == "tcp/80" else 6)] ^= 0x5A
        block = pack_block(stamped([bytes(unfinished)]))
        assert harvested(block) == ([], {rejection: 1})
        status = first_packet(block) + blk.PACKET_STATUS
        block[status : status + 4].view(np.uint32)[0] |= blk.TP_STATUS_CSUMNOTREADY
        replies, rejected = harvested(block)
        assert ([reply.kind for reply in replies], rejected) == ([kind], {})
        unfinished[24] ^= 0x01  # the IP header's checksum is finished all the same
        block = pack_block(stamped([bytes(unfinished)]))
        block[status : status + 4].view(np.uint32)[0] |= blk.TP_STATUS_CSUMNOTREADY
        assert harvested(block) == ([], {Rejection.BAD_IP_CHECKSUM: 1})
        assert len(harvested(block, verify=False)[0]) == 1


def test_a_packet_of_which_less_was_captured_is_truncated() -> None:
    _, frame = sample_replies(SCANNER, "ntp", TARGET, 0)[0]
    block = pack_block(stamped([frame, frame]))
    length = first_packet(block) + blk.PACKET_LENGTH
    block[length : length + 4].view(np.uint32)[0] += 1
    replies, rejected = harvested(block)
    assert [reply.kind for reply in replies] == [Kind.ANSWER]
    assert rejected == {Rejection.TRUNCATED: 1}


def test_accepted_replies_are_marked_in_the_table_of_the_answered() -> None:
    packets = stamped([sample_replies(SCANNER, name, TARGET + n, 0)[0][1] for n, name in enumerate(NAMES)])
    packets.append((NOW_NS, packets[0][1][:-1]))
    table = np.zeros(MIN_ENTRIES, np.uint32)
    replies, rejected = harvested(pack_block(packets), answered=table)
    assert (len(replies), sum(rejected.values())) == (len(NAMES), 1)
    marked = {
        (target, probe)
        for target in range(TARGET - 3, TARGET + 12)
        for probe in range(16)
        if has_answered(table, target, probe)
    }
    assert marked == {(TARGET + n, n) for n in range(len(NAMES))}
    assert np.count_nonzero(table) == len(NAMES)
