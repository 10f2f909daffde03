"""A set of shards that are to be united: alike, each of them once, none missing."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol, TypeVar

from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.files.reading import read_below
from liveness.runs.kinds import MANIFEST_FILE

SHOWN: Final = 10
"""Missing shards that a message names at most."""
REMEDY: Final = "or give --partial to unite the rest"


class ShardLike(Protocol):
    """The run of a shard, of a census or of a survey."""

    @property
    def path(self) -> Path:
        """Directory of the run."""

    @property
    def index(self) -> int:
        """Number of the shard."""

    @property
    def label(self) -> str:
        """The shard in messages."""

    @property
    def status(self) -> str:
        """Status of the run in its manifest."""

    @property
    def why_incomplete(self) -> str:
        """Why the run is not complete."""


S = TypeVar("S", bound=ShardLike)


def label_of(index: int, vantage: str | None) -> str:
    """Return a shard in messages: its vantage point if the run has one, else its number."""
    return vantage or f"shard {index}"


def check_alike(one: ShardLike, other: ShardLike, whole: str, values: Iterable[tuple[str, object, object]]) -> None:
    """Raise UsageError for the first of `values`, (name, mine, theirs), that differs. `whole` is what they share."""
    for name, mine, theirs in values:
        if mine != theirs:
            raise UsageError(
                f"{one.path} and {other.path}: no shards of one {whole}: {name} is {mine!r} and {theirs!r}"
            )


def in_order(runs: Iterable[S]) -> list[S]:
    """Return runs in the order of their shards. UsageError if two of them are the same shard."""
    ordered = sorted(runs, key=lambda run: run.index)
    for one, other in pairwise(ordered):
        if one.index == other.index:
            raise UsageError(f"{one.path} and {other.path}: both are shard {one.index}: give each shard once")
    return ordered


def check_whole(runs: Sequence[ShardLike], shards: int, whole: str) -> None:
    """Raise UsageError that names the run if one is no shard, if a shard is missing, or if one did not complete."""
    missing = sorted(set(range(shards)) - {run.index for run in runs})
    if shards == 1:
        raise UsageError(f"{runs[0].path}: a whole {whole}, no shard of one: there is nothing to merge")
    if missing:
        names = ", ".join(map(str, missing[:SHOWN])) + (" …" if len(missing) > SHOWN else "")
        raise UsageError(
            f"{runs[0].path.parent}: of {shards} shards these are missing: {names}: name their runs, {REMEDY}"
        )
    for run in runs:
        if run.status != "complete":
            raise UsageError(f"{run.path}: {run.label} did not complete ({run.why_incomplete}): resume it, {REMEDY}")


def reason_of(runs: Sequence[ShardLike], shards: int) -> str | None:
    """Return why the union of these runs is not a whole one; None if it is."""
    reasons = [f"{run.label}: {run.why_incomplete}" for run in runs if run.status != "complete"]
    if len(runs) < shards:
        reasons.append(f"{shards - len(runs)} of {shards} shards are missing")
    return "; ".join(reasons) or None


def manifest_digest(run: Path) -> str:
    """Return the SHA-256 of a run's manifest. LivenessError if it cannot be read any more."""
    try:
        with Directory.open(run) as files:
            return hashlib.sha256(read_below(files, MANIFEST_FILE)).hexdigest()
    except OSError as problem:
        raise LivenessError(f"{run / MANIFEST_FILE}: cannot read: {problem.strerror}") from problem


def words_of(texts: Iterable[str]) -> str:
    """Return different texts in the order in which they first appear, empty ones left out."""
    return ", ".join(dict.fromkeys(text for text in texts if text))


def sum_of(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of counts by label, labels in the order in which they first appear."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
