"""Senders that are held: they draw no target and send nothing, continue where they were, and never catch up."""

import pytest

from liveness.scan.send.pacing import GIVE_UP_S
from liveness.scan.shared import ENDED, HOLD_PATH, HOLD_SILENCE
from tests.scan.stepped_sender import COUNT, FIRST, FRAMES, PROBES, RATE_PPS, Running, Script


@pytest.mark.parametrize("reason", [HOLD_PATH, HOLD_SILENCE])
def test_a_held_sender_sends_nothing_and_continues_without_catching_up(
    monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    running = Running(monkeypatch)
    shared, frames = running.shared, running.frames
    continued_s, held = 0.0, 0

    def script() -> Script:
        nonlocal continued_s, held
        yield lambda: len(frames) > FRAMES // 5
        shared.pause(reason)
        yield shared.all_held
        held, tick = len(frames), shared.positions_now()[0].tick
        assert held < FRAMES // 4
        yield running.after(3 * GIVE_UP_S)
        assert len(frames) == held == int(shared.sent.sum())
        assert shared.positions_now()[0].tick == tick
        shared.resume(reason)
        continued_s = running.clock.now_s

    running.run(script())
    assert {frame[30:34] for _, frame in frames} == {(FIRST + index).to_bytes(4, "big") for index in range(COUNT)}
    assert len(frames) == FRAMES
    soon = sum(at - continued_s < GIVE_UP_S for at, _ in frames[held:])
    at_the_rate = GIVE_UP_S * RATE_PPS * len(PROBES)
    assert 0.9 * at_the_rate < soon < 1.1 * at_the_rate, "frames that were not sent in the pause come as a burst"
    assert float(shared.given_up_s[0]) == 0, "a pause counts as a failure to keep up"


def test_two_reasons_hold_until_both_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(monkeypatch)
    shared, frames = running.shared, running.frames

    def script() -> Script:
        yield lambda: len(frames) > 100
        shared.pause(HOLD_PATH)
        shared.pause(HOLD_SILENCE)
        yield shared.all_held
        shared.resume(HOLD_PATH)
        yield lambda: int(shared.held[0]) == HOLD_SILENCE
        held = len(frames)
        yield running.after(1.0)
        assert len(frames) == held
        shared.resume(HOLD_SILENCE)

    running.run(script())
    assert len(frames) == FRAMES
    assert shared.held.tolist() == [ENDED]


def test_stop_ends_a_held_sender_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(monkeypatch)
    shared = running.shared
    stopped_s = 0.0

    def script() -> Script:
        nonlocal stopped_s
        yield lambda: len(running.frames) > 100
        shared.pause(HOLD_PATH)
        yield shared.all_held
        shared.stop[0] = 1
        stopped_s = running.clock.now_s

    running.run(script())
    assert len(running.frames) < FRAMES
    assert running.clock.now_s - stopped_s < 0.1


def test_held_time_makes_the_cooldown_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(monkeypatch, cooldown="500ms")
    shared = running.shared
    drained_s = 0.0

    def script() -> Script:
        nonlocal drained_s
        yield lambda: int(shared.drained[0]) == 1
        drained_s = running.clock.now_s
        shared.pause(HOLD_PATH)
        yield shared.all_held
        yield running.after(1.0)
        shared.resume(HOLD_PATH)

    running.run(script())
    assert 1.5 <= running.clock.now_s - drained_s < 1.6


def test_no_sender_is_held_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(monkeypatch)

    def script() -> Script:
        yield lambda: len(running.frames) > 100
        running.shared.resume(HOLD_PATH)
        assert not running.shared.all_held()

    running.run(script())
    assert len(running.frames) == FRAMES
