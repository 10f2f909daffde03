"""The replies that benchmarks offer to a receiver: right to scapy's eye, and to the matcher what they were made as."""

from collections import Counter

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from liveness.packets.block import pack_block
from liveness.packets.parse import FIELDS
from liveness.probes.run_constants import RunConstants
from liveness.probes.template import LinkAddresses
from liveness.replies import REPLY_DTYPE, Kind, Rejection
from liveness.scan.plan import Plan
from liveness.scan.receive.match_block import match_block
from scripts.benchmarks.plans import everywhere, kit_for, plan_over
from scripts.benchmarks.replies import Pool, make_pool
from tests.conftest import PLAIN

COUNT = 500 if PLAIN else 4000
Made = tuple[Plan, RunConstants, Pool]


@pytest.fixture(scope="module")
def made() -> Made:
    plan = plan_over(everywhere())
    constants = kit_for(plan, LinkAddresses(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"))
    return plan, constants, make_pool(plan, constants, COUNT)


def frames_of(pool: Pool) -> list[bytes]:
    return [frame[:length].tobytes() for frame, length in zip(pool.frames, pool.lengths, strict=True)]


def test_scapy_finds_every_length_and_checksum_right(made: Made) -> None:
    for frame in frames_of(made[2])[:500]:
        packet = Ether(frame)
        assert len(frame) == 14 + packet[IP].len
        assert packet.dst == "02:00:00:00:00:01"
        del packet[IP].len, packet[IP].chksum
        for layer in (TCP, UDP, ICMP):
            if isinstance(packet[IP].payload, layer):  # what an ICMP error quotes stays as it was sent
                del packet[layer].chksum
        assert bytes(packet) == frame


def test_the_matcher_accepts_all_but_the_wrong_ones(made: Made) -> None:
    plan, constants, pool = made
    replies = np.zeros(COUNT, REPLY_DTYPE)
    rejected = np.zeros(len(Rejection), np.int64)
    block = pack_block([(1, frame) for frame in frames_of(pool)])
    first, last = plan.intervals.first, plan.intervals.last
    answered, row = np.zeros(0, np.uint32), np.zeros(FIELDS, np.int64)
    accepted = match_block(block, True, constants, first, last, replies, rejected, answered, row)
    assert 0 < pool.wrong.sum() == rejected.sum() == rejected[[Rejection.BAD_PORT, Rejection.BAD_COOKIE]].sum()
    assert accepted == COUNT - pool.wrong.sum()
    replies = replies[:accepted]
    kinds = Counter(replies["kind"].tolist())
    assert set(kinds) == {Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.RST, Kind.ANSWER, Kind.ERROR}
    assert set(replies["probe"].tolist()) == set(range(len(plan.probes)))
    assert replies["tier"].all()
    assert np.array_equal(replies["target"], plan.first_addresses(COUNT)[~pool.wrong])
