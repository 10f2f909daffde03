"""Blocks begin at times that all vantage points know: senders wait for them, and late ones are named."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from liveness.clock import utc
from liveness.config.model import Config, from_document
from liveness.errors import UsageError
from liveness.runs.manifest import BlockStart, BlockStatus, Manifest
from liveness.scan.agreed_start import agreed_ns, late_ms, shard_record, slack_s
from liveness.scan.block_starts import BlockStarts
from liveness.scan.lag import lag_record
from liveness.scan.plan import Plan
from liveness.scan.shared import HOLD_PATH, Shared
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.system.clock_offset import CHRONY, ClockReading
from tests.scan.stepped_sender import EPOCH_NS, PROBES, Running

NS = 10**9
START_NS = EPOCH_NS + 105 * NS
START = utc(START_NS)
FIRST = parse_address("10.1.0.0")
BLOCKS = {"10.1.0.0/24": 256, "10.1.1.0/24": 256, "10.1.2.0/24": 256, "10.1.3.0/24": 132}


def config_of(**fields: object) -> Config:
    document = {"name": "slots", "targets": {"allow": ["10.1.0.0/16"]}, "probes": ["icmp"], "control": False}
    usual = {"rate": "100pps", "block_prefix": 24, "cooldown": "1s", "start_at": START, "slot": "10s"}
    return from_document(document | usual | {"retransmit": {"attempts": 1}} | fields)


def plan_of(targets: Intervals | None = None, **fields: object) -> Plan:
    chosen = Intervals.from_bounds([FIRST], [FIRST + 899]) if targets is None else targets
    return Plan(config_of(**fields), Targets.build(chosen, Intervals.empty(), lab=True), None, bytes(16))


def manifest_of(plan: Plan, **fields: object) -> Manifest:
    blocks = [BlockStatus(block=part.name, targets=part.targets, status="pending") for part in plan.order.parts]
    known = {"blocks": blocks, **fields}
    return Manifest(
        name="slots", run_id="1", status="running", seed=0, config={}, started=START, targets=900, probes={}, sets=[],
        **known,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_block_begins_a_slot_after_the_one_before_it() -> None:
    plan = plan_of()
    assert [part.name for part in plan.order.parts] == list(BLOCKS)
    assert [agreed_ns(plan, part) for part in range(4)] == [START_NS + part * 10 * NS for part in range(4)]


def test_an_offset_moves_every_start() -> None:
    plan = plan_of(start_offset="2500ms")
    assert [agreed_ns(plan, part) for part in range(4)] == [START_NS + (part * 10 + 2.5) * NS for part in range(4)]
    record = shard_record(plan, 3.5)
    assert (record.start_at, record.offset_s, record.slot_s, record.late_ms) == (START, 2.5, 10.0, 3.5)  # type: ignore[union-attr]


def test_without_a_slot_only_the_run_has_a_start() -> None:
    plan = plan_of(slot=None)
    assert [agreed_ns(plan, part) for part in range(4)] == [START_NS, None, None, None]
    assert agreed_ns(plan_of(slot=None, start_at=None), 0) is None


def test_a_block_without_targets_of_this_shard_keeps_its_slot() -> None:
    """The first block has one target, which is the first shard's: the second shard begins with the second slot."""
    uneven = Intervals.from_bounds([FIRST, FIRST + 256, FIRST + 512], [FIRST, FIRST + 511, FIRST + 512])
    starts = {
        (index, part.name): agreed_ns(plan, number)
        for index in range(2)
        for plan in [plan_of(uneven, shard={"index": index, "of": 2})]
        for number, part in enumerate(plan.order.parts)
    }
    names = [f"{format_address(FIRST + 256 * block)}/24" for block in range(3)]
    both = {(index, names[1]): START_NS + 10 * NS for index in range(2)}
    assert starts == both | {(0, names[0]): START_NS, (0, names[2]): START_NS + 20 * NS}


def test_a_slot_shorter_than_a_block_is_refused() -> None:
    longest_s = 256 / 100 + 1.0
    assert slack_s(plan_of()) == pytest.approx(10 - longest_s)
    with pytest.raises(UsageError, match=r"\$\.slot: 3560ms: the longest block takes 4 s with its cooldown"):
        slack_s(plan_of(slot="3560ms"))
    assert slack_s(plan_of(slot="3561ms")) == pytest.approx(0.001)


@pytest.mark.parametrize(("slot", "offset"), [("10s", "0s"), (None, "1s")])
def test_a_slot_and_an_offset_need_a_start(slot: str | None, offset: str) -> None:
    with pytest.raises(UsageError, match="counts from an agreed start"):
        slack_s(plan_of(start_at=None, slot=slot, start_offset=offset))


@pytest.fixture(name="sent")
def a_sender_s_frames(monkeypatch: pytest.MonkeyPatch) -> tuple[Running, dict[str, list[float]]]:
    """Return a sender that has sent four blocks by slots of ten seconds, and when frames left to each block."""
    fields = {"block_prefix": 24, "start_at": START, "slot": "10s", "start_offset": "250ms"}
    running = Running(monkeypatch, fields=fields)

    def nothing() -> Iterator[object]:
        yield lambda: True

    running.run(nothing())  # type: ignore[arg-type]
    left: dict[str, list[float]] = {}
    for at_s, frame in running.frames:
        left.setdefault(f"10.1.{frame[14 + 18]}.0/24", []).append(at_s)
    return running, left


def test_a_sender_sends_no_block_before_its_slot(sent: tuple[Running, dict[str, list[float]]]) -> None:
    """Not a frame before, and the first one within a burst of the agreed time; the last within its slot."""
    _, left = sent
    assert {block: len(times) for block, times in left.items()} == {
        block: targets * len(PROBES) for block, targets in BLOCKS.items()
    }
    for number, times in enumerate(left.values()):
        agreed_s = 105.25 + 10 * number
        assert 0 <= min(times) - agreed_s < 0.05
        assert max(times) < agreed_s + 10


def test_the_record_says_how_late_each_block_was(sent: tuple[Running, dict[str, list[float]]]) -> None:
    running, _ = sent
    notices: list[str] = []
    reading = ClockReading(CHRONY, synchronised=True, offset_ms=-0.25, error_ms=0.1, stratum=2)
    first = manifest_of(running.plan)
    starts = BlockStarts(running.plan, running.shared, first, notices.append, lambda: reading)
    starts.look()
    blocks = starts.added_to(first.blocks)
    for number, block in enumerate(blocks):
        assert isinstance(block.start, BlockStart)
        assert block.start.agreed == utc(START_NS + (10 * number) * NS + 250_000_000)
        assert (block.start.synchronised, block.start.clock_offset_ms) == (True, -0.25)
        assert 0 <= block.start.late_ms < 50
    assert notices == []
    late = late_ms(running.plan, running.shared, first)
    assert late is not None
    assert 0 <= late < 50
    assert lag_record(running.plan, running.shared, 0).offset_s == 0.25


@pytest.mark.parametrize(("stop_after_s", "begun"), [(3.0, 0), (8.0, 1)], ids=["the run", "a block"])
def test_a_sender_that_is_stopped_while_it_waits_begins_nothing(
    monkeypatch: pytest.MonkeyPatch, stop_after_s: float, begun: int
) -> None:
    """A start that was recorded then would be kept by the resumed run, however late it begins the block."""
    running = Running(monkeypatch, fields={"block_prefix": 24, "start_at": START, "slot": "10s"})

    def stop() -> Iterator[object]:
        yield running.after(stop_after_s)
        running.shared.stop[0] = 1

    running.run(stop())  # type: ignore[arg-type]
    assert len(running.frames) == begun * 256 * len(PROBES)
    first = manifest_of(running.plan)
    starts = BlockStarts(
        running.plan, running.shared, first, pytest.fail, lambda: ClockReading("kernel", synchronised=False)
    )
    starts.look()
    recorded = [isinstance(block.start, BlockStart) for block in starts.added_to(first.blocks)]
    assert recorded == [True] * begun + [False] * (4 - begun)
    assert (late_ms(running.plan, running.shared, first) is None) == (begun == 0)


@pytest.mark.parametrize("part", [0, 2], ids=["the run", "a block"])
def test_a_sender_that_is_held_at_its_start_begins_when_it_sends(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """The link is down, or no reply came, just when the time has come: nothing leaves for almost a slot."""
    running = Running(monkeypatch, fields={"block_prefix": 24, "start_at": START, "slot": "10s"})

    def hold() -> Iterator[object]:
        yield running.after(5.0 + 10 * part)
        running.shared.pause(HOLD_PATH)
        yield running.after(9.9)
        running.shared.resume(HOLD_PATH)

    running.run(hold())  # type: ignore[arg-type]
    first, notices = manifest_of(running.plan), []  # type: ignore[var-annotated]
    starts = BlockStarts(
        running.plan, running.shared, first, notices.append, lambda: ClockReading("kernel", synchronised=False)
    )
    starts.look()
    records = [block.start for block in starts.added_to(first.blocks)]
    in_time = {0: [False, True, True, True], 2: [True, True, False, True]}[part]
    assert [isinstance(record, BlockStart) and record.synchronised for record in records] == in_time
    held = records[part]
    assert isinstance(held, BlockStart)
    assert 9900 <= held.late_ms < 9950
    assert len(notices) == 1


def test_a_block_that_comes_too_late_is_named_and_not_skipped() -> None:
    """Late by more than the slot has left: other vantage points are in their next block before it ends."""
    plan = plan_of()
    shared = Shared(plan)
    slack_ns = round(slack_s(plan) * NS) - NS // 100
    shared.began_ns[0] = START_NS, START_NS + 10 * NS + slack_ns, START_NS + 20 * NS + slack_ns + NS, 0
    notices: list[str] = []
    first = manifest_of(plan)
    starts = BlockStarts(plan, shared, first, notices.append, lambda: ClockReading("kernel", synchronised=False))
    starts.look()
    starts.look()
    records = [block.start for block in starts.added_to(first.blocks)]
    assert [record.synchronised for record in records[:3] if isinstance(record, BlockStart)] == [True, True, False]
    assert not isinstance(records[3], BlockStart), "it has not begun"
    (notice,) = notices
    agreed = datetime.fromtimestamp(START_NS / NS + 20, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert f"block 10.1.2.0/24 began 7.4 s after its agreed start ({agreed})" in notice


def test_starts_of_earlier_sessions_are_kept() -> None:
    """A block that a later session goes on with has begun in the earlier one."""
    plan = plan_of()
    before = BlockStart(agreed=START, late_ms=1.5, synchronised=True)
    blocks = [
        BlockStatus(block=name, targets=targets, status="pending", start=before) if name == "10.1.0.0/24"
        else BlockStatus(block=name, targets=targets, status="pending")
        for name, targets in BLOCKS.items()
    ]  # fmt: skip
    shared = Shared(plan)
    shared.began_ns[0, 0] = START_NS + 3600 * NS
    starts = BlockStarts(plan, shared, manifest_of(plan, blocks=blocks), pytest.fail)
    starts.look()
    assert starts.added_to(blocks)[0].start == before


def test_a_start_before_the_agreed_time_is_no_start() -> None:
    """Runs have kept such a record of a block for which they still waited when they were stopped."""
    plan = plan_of()
    before = BlockStart(agreed=START, late_ms=-3_600_000.0, synchronised=True)
    blocks = [BlockStatus(block=name, targets=n, status="pending", start=before) for name, n in BLOCKS.items()]
    shared = Shared(plan)
    shared.began_ns[0, 0] = START_NS + 3600 * NS
    notices: list[str] = []
    first = manifest_of(plan, blocks=blocks)
    starts = BlockStarts(plan, shared, first, notices.append, lambda: ClockReading("kernel", synchronised=False))
    starts.look()
    begun, *others = (block.start for block in starts.added_to(blocks))
    assert isinstance(begun, BlockStart)
    assert (begun.late_ms, begun.synchronised, len(notices)) == (3_600_000.0, False, 1)
    assert not any(isinstance(start, BlockStart) for start in others)


@pytest.mark.parametrize("earlier_ms", [None, -1500.0], ids=["killed while it waited", "stopped while it waited"])
def test_a_run_that_had_not_begun_is_measured_when_it_is_resumed(earlier_ms: float | None) -> None:
    plan = plan_of()
    first = manifest_of(plan, shard=shard_record(plan, earlier_ms), resumed=[START])
    shared = Shared(plan)
    assert late_ms(plan, shared, first) is None
    shared.began_ns[0, 0] = START_NS + 7 * NS
    assert late_ms(plan, shared, first) == 7000.0


def test_a_resumed_run_keeps_how_late_it_began() -> None:
    plan = plan_of()
    shared = Shared(plan)
    shared.began_ns[0, 0] = START_NS + 7 * NS
    assert late_ms(plan, shared, manifest_of(plan, shard=shard_record(plan, 3.5), resumed=[START])) == 3.5
