"""Senders that are held: they draw nobody and send nothing, go on where they were, and never catch up."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from liveness.config.model import from_document
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.probes.template import LinkAddresses
from liveness.scan.plan import Plan
from liveness.scan.send.pacing import GIVE_UP_S
from liveness.scan.send.sender import Sender, warm_up
from liveness.scan.session import constants_of
from liveness.scan.shared import ENDED, HOLD_PATH, HOLD_SILENCE, Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

FIRST = parse_address("10.1.0.0")
COUNT = 900
RATE_PPS = 1_000
PROBES = ("icmp", "tcp/80")
FRAMES = COUNT * len(PROBES)
SHORT_S = 10.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SHORT_S
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.002)


@dataclass
class Running:
    """A sender in a thread, and when each of its frames left."""

    cooldown: str = "0s"
    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = from_document(
            {
                "name": "hold",
                "targets": {"allow": ["10.1.0.0/16"]},
                "probes": list(PROBES),
                "control": False,
                "rate": f"{RATE_PPS}pps",
                "probe_spacing": "1ms",
                "cooldown": self.cooldown,
                "retransmit": {"attempts": 1},
            }
        )
        everybody = Intervals.from_bounds([FIRST], [FIRST + COUNT - 1])
        plan = Plan(config, Targets.build(everybody, Intervals.empty(), lab=True), None, bytes(16))
        constants = constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (parse_address("198.51.100.7"),))
        warm_up(plan, constants)
        self.shared = Shared(plan)
        ring = MemoryTxRing(self._send, MemoryRxRing(), slots=64)
        self.thread = threading.Thread(target=Sender(plan, constants, ring, self.shared, 0).run, daemon=True)
        self.thread.start()

    def _send(self, frame: bytes) -> tuple[bytes, ...]:
        self.frames.append((time.monotonic(), frame))
        return ()

    def finish(self) -> None:
        self.thread.join(SHORT_S)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("reason", [HOLD_PATH, HOLD_SILENCE])
def test_a_held_sender_sends_nothing_and_goes_on_without_catching_up(reason: int) -> None:
    running = Running()
    shared = running.shared
    eventually(lambda: len(running.frames) > FRAMES // 5)
    shared.pause(reason)
    eventually(shared.all_held)
    before_s = float(shared.given_up_s[0])
    held, tick = len(running.frames), shared.positions_now()[0].tick
    assert held < FRAMES
    time.sleep(3 * GIVE_UP_S)
    assert len(running.frames) == held == int(shared.sent.sum())
    assert shared.positions_now()[0].tick == tick
    shared.go_on(reason)
    went_on_s = time.monotonic()
    running.finish()
    assert {frame[30:34] for _, frame in running.frames} == {
        (FIRST + index).to_bytes(4, "big") for index in range(COUNT)
    }
    assert len(running.frames) == FRAMES
    soon = sum(at - went_on_s < GIVE_UP_S for at, _ in running.frames[held:])
    assert soon < 3 * GIVE_UP_S * RATE_PPS * len(PROBES), "what was not sent meanwhile must not come as a burst"
    assert float(shared.given_up_s[0]) - before_s < 3 * GIVE_UP_S, "a pause is no failure to keep up"


def test_two_reasons_hold_until_both_are_gone() -> None:
    running = Running()
    shared = running.shared
    shared.pause(HOLD_PATH)
    shared.pause(HOLD_SILENCE)
    eventually(shared.all_held)
    shared.go_on(HOLD_PATH)
    eventually(lambda: int(shared.held[0]) == HOLD_SILENCE)
    held = len(running.frames)
    time.sleep(0.1)
    assert len(running.frames) == held
    shared.go_on(HOLD_SILENCE)
    running.finish()
    assert len(running.frames) == FRAMES
    assert shared.held.tolist() == [ENDED]


def test_stop_ends_a_held_sender_at_once() -> None:
    running = Running()
    running.shared.pause(HOLD_PATH)
    eventually(running.shared.all_held)
    running.shared.stop[0] = 1
    running.finish()
    assert len(running.frames) < FRAMES


def test_held_time_makes_the_cooldown_longer() -> None:
    running = Running(cooldown="500ms")
    eventually(lambda: int(running.shared.drained[0]) == 1)
    running.shared.pause(HOLD_PATH)
    eventually(running.shared.all_held)
    time.sleep(1.0)
    assert running.thread.is_alive()
    assert running.shared.all_held()
    running.shared.go_on(HOLD_PATH)
    running.finish()


def test_nobody_is_held_where_no_reason_is_given() -> None:
    running = Running()
    running.shared.go_on(HOLD_PATH)
    assert not running.shared.all_held()
    running.finish()
