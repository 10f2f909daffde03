"""Send times: the frames of a batch share one, so a batch has only as many as leave within about a millisecond."""

import pytest

from liveness.scan.send.pacing import BATCH_S, FEWEST_FRAMES
from liveness.scan.send.transmitter import Transmitter
from tests.scan.stepped_sender import FRAMES, Running, Script


@pytest.mark.parametrize(("frame_s", "most"), [(5e-6, 200), (1e-5, 100), (1e-4, FEWEST_FRAMES)])
def test_a_frame_leaves_soon_after_its_send_time(monkeypatch: pytest.MonkeyPatch, frame_s: float, most: int) -> None:
    """A network that takes half of what the rate wants at most: every batch is as large as it may be."""
    running = Running(monkeypatch, rate_pps=200_000, slots=1_024, frame_s=frame_s)
    batches: list[tuple[float, int]] = []
    fill = Transmitter.fill

    def filled(transmitter: Transmitter, first_slot: int, ahead_ns: int) -> int:
        sent_at_s = running.clock.now_s
        count = fill(transmitter, first_slot, ahead_ns)
        batches.append((sent_at_s, count))
        return count

    monkeypatch.setattr(Transmitter, "fill", filled)

    def script() -> Script:
        yield lambda: len(running.frames) == FRAMES

    running.run(script())
    assert sum(count for _, count in batches) == FRAMES
    left_s = iter(at_s for at_s, _ in running.frames)
    late_s = [[next(left_s) - sent_at_s for _ in range(count)] for sent_at_s, count in batches]
    later = len(batches) // 2  # the first batches are those from which the sender learns
    largest = max(count for _, count in batches[later:])
    assert most / 2 < largest <= 1.05 * most, "as many as leave in that time, and no more"
    longest_s = max(BATCH_S, FEWEST_FRAMES * frame_s)
    assert max(late for batch in late_s[later:] for late in batch) <= 1.05 * longest_s
