"""Silence detection: replies stop, or drop far below their usual rate, while probes are sent as before.

Targets are probed in random order, so the replies in any period are a random sample of those of the block. The number
to be expected follows from the probes sent and the block's hit rate of each probe so far. `docs/rate.md` describes the
method.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.scan.rate.hits import Counts, design_effect

SLICE_S: Final = 0.25
HISTORY: Final = 1_200
"""Slices that are kept: five minutes of sending."""
DELAY: Final = 4
"""Slices within which most replies arrive."""
NEAR: Final = 2
"""Slices before a window that are excluded from its past: the drop may have begun in them."""
SURE: Final = 4.0
"""Standard errors by which the hit rates of the past are lowered, to be safe."""
MIN_REPLIES: Final = 100
"""Fewest replies in the past from which a number can be expected."""
CHUNKS: Final = 16
LOW_QUANTILE: Final = 0.25
"""The past is divided into chunks, and a low quantile of their hit rates is expected: duplicates raise only some."""
QUARTILE: Final = 0.6745
"""Standard errors from the median to a quartile of the normal distribution."""
FAR_BELOW: Final = 0.25
"""Largest share of the expected replies that counts as a drop."""
POSSIBLE_DROP: Final = 0.5
"""Share of the expected replies below which a drop is possible."""
LEAST_SURPRISAL: Final = 26.0
"""Least -ln of the probability by Chernoff's bound: 5e-12 per test, with 11 tests every quarter of a second. Ten days
make 4e7 tests: at most one false alarm in five thousand such runs."""
WINDOWS: Final = tuple(2**power for power in range(11))


@dataclass(frozen=True, slots=True)
class ReplyDrop:
    """Drop of the replies: since when, how many came since then, and how many were expected."""

    since_s: float
    replies: float
    expected: float
    hit_rates: NDArray[np.float64]
    """Replies per frame before the drop, by probe."""


def surprisal(expected: float, seen: float) -> float:
    """Return -ln of Chernoff's bound on the probability of a Poisson count of `seen` or fewer."""
    if seen >= expected:
        return 0.0
    return expected - seen + (seen * math.log(seen / expected) if seen > 0 else 0.0)


class SilenceDetector:
    """Frames sent and replies received recently, in slices; `attempts` is the number of attempts per target."""

    def __init__(self, probes: int, attempts: int) -> None:
        self.attempts = attempts
        rows = 2 * HISTORY + 1
        self._times: NDArray[np.float64] = np.zeros(rows)
        self._sent: NDArray[np.int64] = np.zeros((rows, probes), np.int64)
        """Frames sent up to the end of each slice, by probe; row 0 is the start."""
        self._replies: NDArray[np.int64] = np.zeros((rows, probes), np.int64)
        self._slices = 0
        self._idle = 0
        """Number of consecutive slices in which nothing was sent."""
        self._block = 0
        """Block of the past."""
        self._last: tuple[float, Counts, Counts] | None = None

    def forget(self) -> None:
        """Forget the past: other targets follow, or the network has changed."""
        self._slices = 0
        self._sent[0] = self._replies[0] = 0
        self._last = None

    def skip(self) -> None:
        """Leave out what happens until the next call of `take`, because its replies say nothing about the path."""
        if self._last is not None:
            for _ in range(DELAY):
                self._add_slice(self._last[0])
            self._last = None

    def take(self, time_s: float, block: int, sent: Counts, replies: Counts) -> bool:
        """Take counters since the start, by probe; return whether a slice has ended. A new block starts a new past."""
        if self._block != block:
            self.forget()
            self._block = block
        if self._last is None:
            self._last = time_s, sent.copy(), replies.copy()
            return False
        before_s, sent_before, replies_before = self._last
        if time_s < before_s + SLICE_S:
            return False
        if self._slices == 0 and (sent == sent_before).all():  # these replies answer an earlier block
            self._last = time_s, sent.copy(), replies.copy()
            return False
        self._idle = 0 if (sent != sent_before).any() else self._idle + 1
        if self._idle <= DELAY:  # longer pauses add no slices: late replies count for what was sent before
            self._add_slice(before_s)
        self._sent[self._slices] += sent - sent_before
        self._replies[self._slices] += replies - replies_before
        self._last = time_s, sent.copy(), replies.copy()
        return True

    def _add_slice(self, begun_s: float) -> None:
        if self._slices == len(self._times) - 1:
            self._shift()
        self._slices += 1
        self._times[self._slices] = begun_s
        self._sent[self._slices] = self._sent[self._slices - 1]
        self._replies[self._slices] = self._replies[self._slices - 1]

    def _shift(self) -> None:
        """Drop the older half of the slices."""
        for array in (self._times, self._sent, self._replies):
            array[: HISTORY + 1] = array[-HISTORY - 1 :].copy()
        self._slices = HISTORY

    def drop(self) -> ReplyDrop | None:
        """Return the drop of the replies if there is one now."""
        now = self._slices
        for window in WINDOWS:
            past = now - window - NEAR
            if past < DELAY:
                return None
            begin = max(0, past - HISTORY)
            seen = float((self._replies[now] - self._replies[now - window]).sum())
            total = self._replies[past] - self._replies[begin]
            rates = total / np.maximum(1, self._sent[past] - self._sent[begin])
            if total.sum() < MIN_REPLIES or seen > FAR_BELOW * self._expected(window, rates):
                continue
            share, spread = self._poor_share(begin, past, rates)
            spread = max(spread, design_effect(total) * self.attempts)
            share *= max(0.0, 1 - SURE * math.sqrt(spread / float(total.sum())))
            expected = self._expected(window, rates * share)
            if seen <= FAR_BELOW * expected and surprisal(expected / spread, seen / spread) >= LEAST_SURPRISAL:
                return self._since(window, begin, rates, spread)
        return None

    def may_have_dropped(self) -> bool:
        """Return whether recent replies are so few that a drop may have begun, although it is not certain."""
        now = self._slices
        for window in WINDOWS[: DELAY - 1]:
            past = now - window - NEAR
            if past < DELAY:
                break
            total = self._replies[past] - self._replies[max(0, past - HISTORY)]
            rates = total / np.maximum(1, self._sent[past] - self._sent[max(0, past - HISTORY)])
            sent = self._sent[now] - self._sent[now - window]
            seen = float((self._replies[now] - self._replies[now - window]).sum())
            if total.sum() >= MIN_REPLIES and seen < POSSIBLE_DROP * float((sent * rates).sum()):
                return True
        return False

    def _expected(self, window: int, rates: NDArray[np.float64]) -> float:
        """Return the least number of replies expected in the last slices, for delays of 0 to DELAY slices."""
        ends = self._slices - np.arange(min(DELAY, self._slices - window) + 1)
        return float(((self._sent[ends] - self._sent[ends - window]) @ rates).min())

    def _poor_share(self, begin: int, end: int, rates: NDArray[np.float64]) -> tuple[float, float]:
        """Return the hit rate of the poorer chunks of the past as a share of `rates`, and the dispersion of replies.

        The dispersion is the variance of the counts divided by that of Poisson counts, at least 1.
        """
        expected = (np.diff(self._sent[begin : end + 1], axis=0) * rates).sum(axis=1)
        came = np.diff(self._replies[begin : end + 1], axis=0).sum(axis=1)
        chunks = np.minimum(np.cumsum(expected) * CHUNKS / expected.sum(), CHUNKS - 0.5).astype(np.int64)
        wanted = np.bincount(chunks, expected, CHUNKS)
        ratios = np.sort((np.bincount(chunks, came, CHUNKS) / np.maximum(wanted, 1e-9))[wanted > 0])
        poor, usual = float(ratios[int(LOW_QUANTILE * len(ratios))]), float(np.median(ratios))
        error = (usual - poor) / QUARTILE  # of a chunk; quantiles are robust against floods and drops in the past
        return min(1.0, poor), max(1.0, error**2 * float(wanted.mean()) / max(usual, 1e-9))

    def _since(self, window: int, begin: int, rates: NDArray[np.float64], spread: float) -> ReplyDrop:
        """Return the drop with its most likely start, which is where the surprise is largest."""
        now = self._slices
        best = max(
            range(1, min(2 * window + NEAR, now - begin) + 1),
            key=lambda length: surprisal(*(count / spread for count in self._counts(now - length, rates))),
        )
        expected, seen = self._counts(now - best, rates)
        since_s = float(self._times[now - best + 1])
        if now - best > begin:  # the drop may have begun within the slice before: interpolate
            before, came = self._counts(now - best - 1, rates)
            since_s -= SLICE_S * max(0.0, 1 - (came - seen) / max(before - expected, 1e-9))
        return ReplyDrop(since_s, seen, expected, rates)

    def _counts(self, begin: int, rates: NDArray[np.float64]) -> tuple[float, float]:
        """Return how many replies were expected after slice `begin`, and how many came."""
        now = self._slices
        expected = float(((self._sent[now] - self._sent[begin]) * rates).sum())
        return expected, float((self._replies[now] - self._replies[begin]).sum())
