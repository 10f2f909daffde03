"""A synthetic survey of the sizes of a real one: silent /24s, servers, sessions and daily cycles, with outages.

Only the shape is real: a quarter of the /24s is silent, most addresses of the others answer seldom, a fifth of the
/24s keeps office hours, and 0.3% are down at any time, some of them together.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, uint64
from liveness.mixing import GOLDEN_GAMMA, mix64
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.manifest import ProbeRounds, SurveyManifest, Times, write_manifest
from liveness.planes.matrix import Planes, write_phases, write_planes
from liveness.planes.rundir import SurveyRun, create_run

PROBE: Final = "icmp"
START_NS: Final = 1_796_083_200 * 10**9
"""2026-12-01T00:00:00Z."""
START: Final = "2026-12-01T00:00:00Z"
INTERVAL_S: Final = 660.0
DAY_S: Final = 86_400.0
PART: Final = 64
"""Blocks that are made at once."""
OCTETS: Final = (1, 224)
SILENT, SERVERS, SESSIONS, OFFICES = range(4)
STYLES: Final = (0.27, 0.4, 0.8, 1.0)
"""Cumulative shares of the styles."""
DOWN: Final = 0.003
GAP: Final = 0.5
"""Where in the survey four rounds were not sent."""


def write_synthetic_survey(path: Path, blocks: int, days: float, seed: int = 73) -> SurveyRun:
    """Write a survey of `blocks` /24s, evenly over the address space."""
    rounds = max(1, int(days * DAY_S / INTERVAL_S))
    random = np.random.default_rng(seed)
    first, last = (octet << 16 for octet in OCTETS)
    numbers = np.unique(random.integers(first, last, size=2 * blocks, dtype=np.uint32))
    numbers = np.sort(random.choice(numbers, blocks, replace=False)).astype(np.uint32)
    policies = random.choice(["random", "spaced", "novel"], blocks, p=[0.25, 0.25, 0.5]).tolist()
    chosen = Blocks(numbers, tuple(policies), np.full(blocks, 150.0))
    create_run(path, chosen)
    write_planes(path, PROBE, _parts(chosen, rounds, random))
    order = random.permutation(blocks * BLOCK_ADDRESSES)
    write_phases(path, (order * (INTERVAL_S * 1000 / len(order))).astype(np.uint32))
    manifest = SurveyManifest(
        name="synthetic", run_id=f"{blocks}-blocks", status="complete", interval_s=INTERVAL_S, seed=seed,
        survey=Times(start=START), start_ns=START_NS, rounds=rounds, blocks=blocks, probes={PROBE: ProbeRounds()},
    )  # fmt: skip
    write_manifest(manifest, path)
    return SurveyRun.open(path)


def _parts(blocks: Blocks, rounds: int, random: np.random.Generator) -> Iterator[Planes]:
    """Yield the planes of the blocks."""
    styles = np.searchsorted(STYLES, random.random(len(blocks)))
    # A region is down together: blocks of the same /8 at the same time; others are down alone.
    downs = np.full((len(blocks), 2), -1, np.int64)
    for region in random.choice(np.arange(*OCTETS), 3, replace=False).tolist():
        begin = int(random.integers(rounds))
        chosen = np.flatnonzero(blocks.numbers >> 16 == region)
        downs[chosen] = begin, begin + max(1, rounds // 100)
    alone = random.random(len(blocks)) < DOWN * 20
    begins = random.integers(0, rounds, len(blocks))
    lengths = 1 + (random.pareto(1.2, len(blocks)) * 3).astype(np.int64) % max(1, rounds // 20)
    downs[alone] = np.stack([begins, begins + lengths], axis=1)[alone]
    for at in range(0, len(blocks), PART):
        stop = min(len(blocks), at + PART)
        planes = Planes.empty((stop - at) * BLOCK_ADDRESSES, rounds)
        fill(blocks.numbers[at:stop], styles[at:stop], downs[at:stop], rounds, planes.sent, planes.positive)
        fill_errors(blocks.numbers[at:stop], rounds, planes.positive, planes.negative)
        yield planes


@kernel
def uniform(word: int) -> float:
    """Return a number in [0, 1) that is a pure function of a word."""
    return (mix64(uint64(word) * uint64(GOLDEN_GAMMA)) >> uint64(11)) / 9007199254740992.0


@kernel
def fill(
    numbers: NDArray[np.uint32],
    styles: NDArray[np.int64],
    downs: NDArray[np.int64],
    rounds: int,
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
) -> None:
    """Write the rounds that were sent and answered: all but four rounds in the middle, and outages."""
    gap = int(rounds * GAP)
    for index in range(len(numbers)):
        number, style = int(numbers[index]), styles[index]
        full = uniform(number) ** 2.2
        zone = (number >> 16) / 224 * 24
        for host in range(256):
            row = index * 256 + host
            word = (number << 24) + (host << 16)
            lives = style != SILENT and uniform(word) < full + 0.004
            liking = uniform(word + 1)
            state = uniform(word + 2) < 0.5  # noqa: PLR2004 - half of the sessions are on
            for r in range(rounds):
                if gap <= r < gap + 4:
                    continue
                sent[row, r >> 3] |= 1 << (r & 7)
                if not lives:
                    continue
                chance = uniform(word + 3 + r)
                if style == SERVERS:
                    up = chance < 0.99  # noqa: PLR2004 - a loss of one percent
                elif style == SESSIONS:
                    if chance < 0.002 + 0.1 * liking**3:
                        state = uniform(word + 70000 + r) < liking
                    up = state
                else:
                    hour = (r * INTERVAL_S / 3600 + zone + liking) % 24
                    up = 8 <= hour < 18 and chance < 0.97  # noqa: PLR2004 - office hours
                if up and not downs[index, 0] <= r < downs[index, 1]:
                    positive[row, r >> 3] |= 1 << (r & 7)


@kernel
def fill_errors(
    numbers: NDArray[np.uint32], rounds: int, positive: NDArray[np.uint8], negative: NDArray[np.uint8]
) -> None:
    """Let routers answer for some of the addresses that never do: a tenth of the blocks, every sixteenth round."""
    for index in range(len(numbers)):
        if uniform(int(numbers[index]) + (1 << 40)) > 0.1:  # noqa: PLR2004 - a tenth
            continue
        for row in range(index * 256, (index + 1) * 256):
            if positive[row].any():
                continue
            for r in range(row % 16, rounds, 16):
                negative[row, r >> 3] |= 1 << (r & 7)
