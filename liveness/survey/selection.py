"""Selection of the blocks of a survey, by three policies (Heidemann et al. 2008).

*random*: drawn once from all /24s with a positive reply, and kept. *spaced*: spread evenly over availability and
volatility, kept too. *novel*: drawn each time from those that answered in the last census. A block has one policy;
its weight is the number of eligible blocks of its stratum by the number drawn from it, as it was when it was drawn.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from liveness.errors import LivenessError, UsageError
from liveness.files.atomic import write_atomically
from liveness.files.documents import decoded
from liveness.files.reading import MIB, read_bytes
from liveness.planes.blocks import Blocks
from liveness.space.addresses import format_address, parse_entry, shown
from liveness.survey.availability import BlockAvailability

GRID: Final = 10
"""Cells of A, and of U, over which `spaced` spreads its blocks."""
STATE_BYTES: Final = 128 * MIB
_BLOCK_MASK: Final = 0xFF


class Kept(Struct, frozen=True):
    """A block that is kept from selection to selection."""

    block: str
    weight: float


class State(Struct, frozen=True, kw_only=True):
    """What a selection keeps for the next one."""

    schema: int = 1
    random: list[Kept]
    spaced: list[Kept]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Blocks of one policy with their weights."""

    numbers: NDArray[np.uint32]
    weights: NDArray[np.float64]


NOTHING: Final = Drawn(np.zeros(0, np.uint32), np.zeros(0))


def select(
    ever: NDArray[np.uint32],
    last: NDArray[np.uint32],
    availability: BlockAvailability,
    counts: dict[str, int],
    state: State | None,
    seed: int,
    number: str = "--count",
) -> tuple[Blocks, State]:
    """Return the blocks of a survey, and the state for the next selection.

    `ever` are the numbers (address >> 8) of /24s with a positive reply in any of the censuses, `last` those of the last
    one. Where there is a state, its blocks are kept as they are. UsageError where too few blocks are eligible; it says
    that `number` gives their number.
    """
    if state is None:
        random = draw(ever, counts["random"], np.random.default_rng((seed, 1)), "random", number)
        known = np.isin(availability.numbers, random.numbers, invert=True) & np.isin(availability.numbers, ever)
        rest = BlockAvailability(availability.numbers[known], availability.a[known], availability.u[known])
        spaced = draw_spaced(rest, counts["spaced"], np.random.default_rng((seed, 2)), number)
    else:
        random, spaced = kept_blocks(state.random), kept_blocks(state.spaced)
    taken = np.concatenate((random.numbers, spaced.numbers))
    eligible = np.setdiff1d(last, taken)
    novel = draw(eligible, counts["novel"], np.random.default_rng((seed, 3)), "novel", number)
    parts = {"random": random, "spaced": spaced, "novel": novel}
    numbers = np.concatenate([part.numbers for part in parts.values()])
    weights = np.concatenate([part.weights for part in parts.values()])
    policies = np.repeat(list(parts), [len(part.numbers) for part in parts.values()])
    order = np.argsort(numbers)
    blocks = Blocks(numbers[order], tuple(policies[order].tolist()), weights[order])
    return blocks, State(random=_keep(random), spaced=_keep(spaced))


def draw(eligible: NDArray[np.uint32], count: int, rng: np.random.Generator, policy: str, number: str) -> Drawn:
    """Draw blocks without replacement, each with the same probability."""
    if count > len(eligible):
        raise UsageError(f"policy {policy}: {count:,} blocks of {len(eligible):,} eligible ones: lower {number}")
    if count == 0:
        return NOTHING
    chosen = np.sort(rng.choice(np.sort(eligible), count, replace=False))
    return Drawn(chosen, np.full(count, len(eligible) / count))


def draw_spaced(rest: BlockAvailability, count: int, rng: np.random.Generator, number: str) -> Drawn:
    """Draw blocks evenly from the cells of a grid over A and U; a cell with too few gives all that it has."""
    if count > len(rest.numbers):
        raise UsageError(f"policy spaced: {count:,} blocks of {len(rest.numbers):,} eligible ones: lower {number}")
    cells = np.minimum((rest.a * GRID).astype(np.int64), GRID - 1) * GRID
    cells += np.minimum((rest.u * GRID).astype(np.int64), GRID - 1)
    names, sizes = np.unique(cells, return_counts=True)
    quotas = _level(sizes, count)
    parts = [NOTHING]
    for name, quota, size in zip(names, quotas.tolist(), sizes.tolist(), strict=True):
        if quota:
            chosen = rng.choice(rest.numbers[cells == name], quota, replace=False)
            parts.append(Drawn(chosen, np.full(quota, size / quota)))
    numbers = np.concatenate([part.numbers for part in parts])
    order = np.argsort(numbers)
    return Drawn(numbers[order], np.concatenate([part.weights for part in parts])[order])


def _level(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how many each cell gives, as even as their sizes allow; what does not divide goes to the first cells."""
    quotas = np.zeros(len(sizes), np.int64)
    left = count
    while left:
        open_cells = np.flatnonzero(quotas < sizes)
        each, extra = divmod(left, len(open_cells))
        wanted = np.full(len(open_cells), each)
        wanted[:extra] += 1
        given = np.minimum(wanted, sizes[open_cells] - quotas[open_cells])
        quotas[open_cells] += given
        left -= int(given.sum())
    return quotas


def kept_blocks(kept: list[Kept]) -> Drawn:
    """Return the blocks of a state; they were checked when it was read."""
    numbers = np.array([parse_entry(entry.block)[0] >> 8 for entry in kept], np.uint32)
    order = np.argsort(numbers)
    return Drawn(numbers[order], np.array([entry.weight for entry in kept], np.float64)[order])


def _keep(drawn: Drawn) -> list[Kept]:
    pairs = zip(drawn.numbers.tolist(), drawn.weights.tolist(), strict=True)
    return [Kept(f"{format_address(number << 8)}/24", weight) for number, weight in pairs]


def load_state(path: Path) -> State | None:
    """Return the state of earlier selections; None if there is no file yet. LivenessError if it is damaged."""
    try:
        content = read_bytes(path, STATE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror}") from problem
    state = decoded(content, State, path, "a damaged state of selections")
    seen: set[str] = set()
    for entry in (*state.random, *state.spaced):
        try:
            first, last = parse_entry(entry.block)
        except ValueError as problem:
            raise LivenessError(f"{path}: {problem}") from None
        if first & _BLOCK_MASK or last - first != _BLOCK_MASK or not entry.weight > 0:
            raise LivenessError(f"{path}: {shown(entry.block)} with weight {entry.weight} is no block of a selection")
        if entry.block in seen:
            raise LivenessError(f"{path}: {shown(entry.block)} is in it twice")
        seen.add(entry.block)
    return state


def encode_state(state: State) -> bytes:
    """Return the content of a file of a state."""
    return msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n"


def write_state(state: State, path: Path) -> None:
    """Replace the state whole."""
    write_atomically(path, encode_state(state))
