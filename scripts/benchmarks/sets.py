"""``scripts/bench sets``: what it costs to collect the replies of a whole census, in time, memory and on disk."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from liveness.net.memory import MemoryRxRing
from liveness.net.ring import RxStatistics
from liveness.probes.template import LinkAddresses
from liveness.replies import REPLY_DTYPE
from liveness.runs.merge import merge
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.plan import Plan
from liveness.scan.receive.receiver import BATCH_REPLIES, Receiver
from liveness.scan.receive.sink import Parts
from liveness.scan.shared import Shared
from liveness.system.child import run_in_child
from scripts.benchmarks.contest import peak_mib
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.plans import everywhere, kit_for, plan_over
from scripts.benchmarks.population import replies_of_census


@dataclass(frozen=True, slots=True)
class Collected:
    """What a receiver took to collect the replies, until the last of them was on disk."""

    replies: int
    collect_ns: float
    """A reply, the wait for the disk included."""
    before_mib: float
    """Memory of the process before the first reply."""
    peak_mib: float
    """The most it ever held (VmHWM)."""
    segment_bytes: int
    segments: int
    pause_s: float
    """The longest that a segment kept the receiver from its ring, the wait for the one before included."""
    write_s: float
    """The longest that the writing thread took for one."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What it took to make sets of what the receiver had written."""

    merge_s: float
    merge_peak_mib: float
    sets: int
    members: int
    set_bytes: int
    """On disk: the sets. The segments, which `segment_bytes` tells, go when they are there."""
    messages: int


@click.command("sets")
@click.option(
    "--alive",
    default=100_000_000,
    show_default=True,
    type=click.IntRange(1),
    help="Addresses that answer anything, all over IPv4.",
)
@click.option("--output", type=click.Path(file_okay=False), help="Where the sets go for the time being, if not /tmp.")
@as_json_option
def command(alive: int, output: str | None, as_json: bool) -> None:
    """Time, memory and disk that the sets of a census take: eight probes, two attempts, shares as in Bano et al. 2018.

    Without a network: replies are made in memory and collected as the receiver does it, then merged into sets.
    """
    with tempfile.TemporaryDirectory(dir=output) as folder:
        directory = RunDirectory.create(Path(folder), "sets", "run")
        collected = run_in_child(lambda: collect(alive, directory))
        merged = run_in_child(lambda: merge_segments(directory))
    document = {"alive": alive} | asdict(collected) | asdict(merged)
    document = {name: round(value, 2) if isinstance(value, float) else value for name, value in document.items()}
    document["adds_up"] = merged.messages == collected.replies
    if as_json:
        print_json("sets", document)
        return
    print_facts("Sets of a census", document)


class TimedReceiver(Receiver):
    """A receiver that tells how long its segments took."""

    pauses_s: list[float]
    writes_s: list[float]

    def _write_segment(self, statistics: RxStatistics) -> None:
        started = time.perf_counter()
        super()._write_segment(statistics)
        self.pauses_s.append(time.perf_counter() - started)

    def _store(self, path: Path, tally: Tally, parts: Sequence[Parts], until_ns: int) -> None:
        started = time.perf_counter()
        super()._store(path, tally, parts, until_ns)
        self.writes_s.append(time.perf_counter() - started)


def collect(alive: int, directory: RunDirectory) -> Collected:
    """Have a receiver collect the replies of a census of so many alive addresses."""
    plan = census_plan()
    constants = kit_for(plan, LinkAddresses(bytes(6), bytes(6)))
    life = TimedReceiver(plan, constants, MemoryRxRing(), Shared(plan), directory)
    life.open_sinks()
    life.pauses_s, life.writes_s = [], []
    before, count, spent_ns = peak_mib(), 0, 0
    for batch in _batches(plan, alive):
        life.replies[: len(batch)] = batch
        life.gathered = len(batch)
        started = time.perf_counter_ns()
        life._collect()  # noqa: SLF001 - as if it had harvested them
        spent_ns += time.perf_counter_ns() - started
        count += len(batch)
    life.shared.finish[0] = 1
    started = time.perf_counter_ns()
    life.run()
    spent_ns += time.perf_counter_ns() - started
    return Collected(
        replies=count,
        collect_ns=spent_ns / max(count, 1),
        before_mib=before,
        peak_mib=peak_mib(),
        segment_bytes=_bytes_below(directory.path),
        segments=len(life.writes_s),
        pause_s=max(life.pauses_s),
        write_s=max(life.writes_s),
    )


def merge_segments(directory: RunDirectory) -> Merged:
    """Make sets of a receiver's segments, as the supervisor does it at the end."""
    plan = census_plan()
    started = time.perf_counter_ns()
    gathered = merge(directory, directory.segments(), [probe.name for probe in plan.probes], plan.attempts)
    return Merged(
        merge_s=(time.perf_counter_ns() - started) / 1e9,
        merge_peak_mib=peak_mib(),
        sets=len(gathered.sets),
        members=sum(entry.cardinality for entry in gathered.sets),
        set_bytes=_bytes_below(directory.path / "sets"),
        messages=sum(sum(counts.values()) for counts in gathered.tally.messages.values()),
    )


def census_plan() -> Plan:
    """Return the plan of a census with the paper's probes."""
    return plan_over(everywhere(), control=False)


def _bytes_below(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _batches(plan: Plan, alive: int) -> Iterator[NDArray[np.void]]:
    """Yield the replies of a census in the receiver's batches."""
    rest = np.zeros(0, REPLY_DTYPE)
    for replies in replies_of_census(plan, alive):
        rest = np.concatenate((rest, replies))
        while len(rest) >= BATCH_REPLIES:
            yield rest[:BATCH_REPLIES]
            rest = rest[BATCH_REPLIES:]
    yield rest
