"""A rate that is found on the way: the spacing of probes grows with it, and nobody is left out or probed twice."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

from liveness.config.model import from_document
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.order.once_per_block import BlockWalk
from liveness.order.order import Walk
from liveness.packets.headers import PROTOCOL_TCP
from liveness.probes.template import LinkAddresses
from liveness.scan.plan import Plan, census_order
from liveness.scan.send.queue import TargetQueue
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

FIRST = parse_address("10.1.0.0")
COUNT = 6_000
RATES = (4_000.0, 8_000.0, 4_000.0, 16_000.0, 40_000.0, 1_000.0, 40_000.0)
"""Up and down, as a search sends them."""


def plan_of(rate: str) -> Plan:
    config = from_document(
        {
            "name": "x",
            "targets": {"allow": ["10.1.0.0/16"]},
            "probes": ["icmp", "tcp/80", "tcp/443"],
            "control": False,
            "rate": rate,
            "rate_limit": "40kpps",
            "probe_spacing": "10ms",
            "cooldown": "0s",
            "retransmit": {"attempts": 2, "queue": 700},
        }
    )
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    return Plan(config, targets, None, bytes(16))


class Watched(Sender):
    """A sender that keeps its walk for the test, and the lags of its lanes at the beginning."""

    walk: BlockWalk
    queue: TargetQueue
    lags_at_first: list[int]

    def _begin(self, part: int) -> tuple[Walk, TargetQueue]:
        walk, self.queue = super()._begin(part)
        assert isinstance(walk, BlockWalk)
        self.walk = walk
        self.lags_at_first = walk.position().lags
        return walk, self.queue


def sent_while_the_rate_changes(rate: str) -> tuple[Watched, Counter[tuple[int, int]], Plan]:
    plan = plan_of(rate)
    shared = Shared(plan)
    seen: Counter[tuple[int, int]] = Counter()

    def network(frame: bytes) -> Iterator[bytes]:
        port = int.from_bytes(frame[36:38], "big") if frame[23] == PROTOCOL_TCP else 0
        seen[port, int.from_bytes(frame[30:34], "big")] += 1
        return iter(())

    ring = MemoryTxRing(network, MemoryRxRing(), slots=600)
    sender = Watched(plan, constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (0,)), ring, shared, 0)
    ended = threading.Event()

    def change() -> None:
        for rate_pps in RATES:
            before = int(shared.sent.sum())
            shared.rate_pps[0] = rate_pps
            while int(shared.sent.sum()) < before + 1_500 and not ended.is_set():
                time.sleep(0.001)

    changing = threading.Thread(target=change)
    changing.start()
    sender.run()
    ended.set()
    changing.join()
    return sender, seen, plan


def test_the_spacing_grows_with_the_rate_and_everyone_is_probed_as_planned() -> None:
    sender, seen, plan = sent_while_the_rate_changes("auto")
    assert seen == {(port, FIRST + index): 2 for port in (0, 80, 443) for index in range(COUNT)}
    assert plan.load.start_pps == 500
    widest = census_order(plan).spacing_at(plan.rate_pps, plan.share(0))
    assert widest == 600  # 10 ms and a margin of 5 ms at 40 kpps, before repeats take half of it
    assert sender.walk.spacing == widest
    first, last = sender.lags_at_first, sender.walk.position().lags
    assert last[:3] == [0, widest, 2 * widest]
    assert first[1] < widest // 8
    assert len(sender.queue.addresses) > max(last)


def test_a_given_rate_keeps_the_spacing_it_was_planned_with() -> None:
    sender, seen, plan = sent_while_the_rate_changes("40kpps")
    assert set(seen.values()) == {2}
    assert sender.walk.spacing == census_order(plan).spacing_at(plan.rate_pps, plan.share(0)) == 600
    assert sender.walk.position().lags == sender.lags_at_first
