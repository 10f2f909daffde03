"""The moment at which a way broke, found from what was sent and what came back."""

import pytest

from liveness.scan.path.reply_track import NS, ReplyTrack

LOOK_NS = NS // 10


def tracked(
    broken_ns: int, until_ns: int, hit_rate: float, rate: int = 10_000, late_ns: int = 20_000_000
) -> ReplyTrack:
    """Return a track of samples at every tenth of a second, of a way that broke once."""
    track = ReplyTrack()
    for at_ns in range(0, until_ns + 1, LOOK_NS):
        answered = rate * max(0, min(at_ns - late_ns, broken_ns)) // NS
        track.note(at_ns, rate * at_ns // NS, int(answered * hit_rate))
    return track


@pytest.mark.parametrize("hit_rate", [1.0, 0.3, 0.04])
@pytest.mark.parametrize("broken_ms", [8_000, 8_030, 8_250, 8_490])
def test_the_moment_is_found_between_two_samples(broken_ms: int, hit_rate: float) -> None:
    broken_ns = broken_ms * 1_000_000
    track = tracked(broken_ns, 9 * NS, hit_rate)
    found = track.broken_from(8 * NS, 9 * NS)
    assert found >= 8 * NS
    assert abs(found - broken_ns) <= 0.05 * (9 * NS - broken_ns)


def test_too_few_replies_say_nothing() -> None:
    track = tracked(8_250_000_000, 9 * NS, 0.001)
    assert track.broken_from(8 * NS, 9 * NS) == 8 * NS


def test_a_way_that_was_never_seen_whole_is_broken_from_the_beginning() -> None:
    assert ReplyTrack().broken_from(5, 9) == 5
    assert tracked(0, NS, 1.0).broken_from(0, NS) == 0


def test_nothing_that_was_lost_is_left_out_where_stray_replies_come() -> None:
    """Retransmissions of far hosts may come after the way has broken: the interval still ends where it ends."""
    track = ReplyTrack()
    for look in range(91):
        at_ns = look * LOOK_NS
        track.note(at_ns, look * 1_000, 5_000 * look)  # five replies to a probe, without an end
    assert 8 * NS <= track.broken_from(8 * NS, 9 * NS) <= 9 * NS
