"""Gaps of a survey: intervals of time whose probes count as not sent, because they or their replies may have been lost.

A probe whose reply no receiver could take says nothing about its address: to count it as unanswered would
be a guess. The file of gaps is replaced whole whenever one is added, so that a kill loses none.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_below
from liveness.order.rounds import Rounds
from liveness.planes.live import BLOCK_BYTES
from liveness.planes.manifest import MAX_START_NS
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines

NAME: Final = "rounds/gaps.json"
TimeNs = Annotated[int, msgspec.Meta(ge=0, le=MAX_START_NS)]
"""A time in ns since 1970, before 2200."""


class Gap(Struct, frozen=True, kw_only=True):
    """Slots due from `start_ns` up to `end_ns` (exclusive; ns since 1970), of all addresses or of `targets`."""

    start_ns: TimeNs
    end_ns: TimeNs
    cause: str
    targets: list[str] = []


class Withdrawal(Struct, frozen=True, kw_only=True):
    """Addresses that opted out: nothing was sent to them from `at_ns` on (ns since 1970)."""

    at_ns: TimeNs
    targets: list[str]


class Gaps(Struct, frozen=True, kw_only=True):
    """All gaps of a survey, in the order in which they were found, and all opt-outs."""

    gaps: list[Gap] = []
    withdrawals: list[Withdrawal] = []

    def with_gap(self, gap: Gap) -> "Gaps":
        """Return the gaps with another one."""
        return msgspec.structs.replace(self, gaps=[*self.gaps, gap]) if gap.end_ns > gap.start_ns else self

    @property
    def withdrawn(self) -> Intervals:
        """All addresses that opted out."""
        return parse_lines([entry for one in self.withdrawals for entry in one.targets], NAME)

    def with_withdrawal(self, at_ns: int, targets: Intervals) -> "Gaps":
        """Return the gaps with the opt-out of some addresses, those that had opted out before left out."""
        new = targets.difference(self.withdrawn)
        if not len(new):
            return self
        withdrawal = Withdrawal(at_ns=at_ns, targets=list(new.entries()))
        return msgspec.structs.replace(self, withdrawals=[*self.withdrawals, withdrawal])


def read_gaps(run: Path) -> Gaps:
    """Return the gaps of a run, none if it has no file of them. LivenessError names a damaged file."""
    path = run / NAME
    try:
        with Directory.open(run) as directory:
            content = read_below(directory, NAME)
    except FileNotFoundError:
        return Gaps()
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read the gaps of this survey: {problem.strerror}") from problem
    gaps = decoded(content, Gaps, path, "a damaged file of gaps")
    for targets in ([gap.targets for gap in gaps.gaps], [one.targets for one in gaps.withdrawals]):
        for entries in targets:
            parse_lines(entries, str(path))
    return gaps


def write_gaps(run: Path, gaps: Gaps) -> None:
    """Replace the file of gaps. LivenessError names it."""
    write_atomically(run / NAME, msgspec.json.encode(gaps))


def unsent_bits(order: Rounds, number: int, gaps: Gaps) -> NDArray[np.uint8] | None:
    """Return the bits of all probes of a round that lie in a gap, (probes, bytes); None if there is none."""
    touching = [(gap, *order.slots_between(number, gap.start_ns, gap.end_ns)) for gap in gaps.gaps]
    touching = [(gap, first, end) for gap, first, end in touching if first < end]
    if not touching:
        return None
    bits = np.zeros((order.probes, len(order.numbers) * BLOCK_BYTES), np.uint8)
    chosen = [parse_lines(gap.targets, NAME) if gap.targets else None for gap, _, _ in touching]
    for some in order.some_blocks():
        addresses = (order.numbers[some, None] << np.uint32(8) | np.arange(256, dtype=np.uint32)[None, :]).ravel()
        for probe in range(order.probes):
            slots = order.address_slots(probe, some)
            found = np.zeros(len(slots), np.bool_)
            for (_, first, end), targets in zip(touching, chosen, strict=True):
                inside = (slots >= first) & (slots < end)
                found |= inside if targets is None else inside & targets.contains(addresses)
            packed = np.packbits(found, bitorder="little")
            bits[probe, some.start * BLOCK_BYTES : some.stop * BLOCK_BYTES] = packed
    return bits


def of_intervals(targets: Intervals | None) -> list[str]:
    """Return addresses as a gap lists them."""
    return [] if targets is None else list(targets.entries())
