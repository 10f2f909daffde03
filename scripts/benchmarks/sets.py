"""``scripts/bench sets``: what it costs to collect the replies of a whole census, in time, memory and on disk."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from liveness.net.child import run_in_child
from liveness.scan.collection import Collection
from liveness.scan.plan import Plan
from liveness.scan.receiver import BATCH_REPLIES
from liveness.store.rundir import RunDirectory
from scripts.benchmarks.contest import peak_mib
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.plans import everywhere, plan_over
from scripts.benchmarks.population import replies_of_census


@dataclass(frozen=True, slots=True)
class Collected:
    """What collecting took."""

    alive: int
    replies: int
    add_ns: float
    """A reply, while they come in."""
    finish_s: float
    """To write the sets at the end."""
    before_mib: float
    """Memory of the process before the first reply."""
    peak_mib: float
    """The most it ever held (VmHWM)."""
    sets: int
    members: int
    disk_bytes: int
    adds_up: bool
    """Whether as many messages were counted as were added."""


@click.command("sets")
@click.option("--alive", default=100_000_000, show_default=True, help="Addresses that answer anything, all over IPv4.")
@click.option("--output", type=click.Path(file_okay=False), help="Where the sets go for the time being, if not /tmp.")
@as_json_option
def command(alive: int, output: str | None, as_json: bool) -> None:
    """Time, memory and disk that the sets of a census take: eight probes, two attempts, shares as in Bano et al. 2018.

    Without a network: replies are made in memory and collected as the receiver does it.
    """
    collected = run_in_child(lambda: collect(alive, output))
    document: dict[str, Any] = {
        name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(collected).items()
    }
    if as_json:
        print_json("sets", document)
        return
    print_facts("Sets of a census", document)


def collect(alive: int, output: str | None) -> Collected:
    """Collect the replies of a census of so many alive addresses and write its sets, to be removed again."""
    plan = plan_over(everywhere(), control=False)
    with tempfile.TemporaryDirectory(dir=output) as folder:
        directory = RunDirectory.create(Path(folder), "sets", "run")
        collection = Collection([probe.name for probe in plan.probes], plan.attempts)
        before, count, spent_ns = peak_mib(), 0, 0
        for batch in _batches(plan, alive):
            started = time.perf_counter_ns()
            collection.add(batch)
            spent_ns += time.perf_counter_ns() - started
            count += len(batch)
        started = time.perf_counter_ns()
        entries = [directory.write_set(key, addresses) for key, addresses in collection.finish().items()]
        collection.attempt_patterns()
        finish_s = (time.perf_counter_ns() - started) / 1e9
        return Collected(
            alive=alive,
            replies=count,
            add_ns=spent_ns / max(count, 1),
            finish_s=finish_s,
            before_mib=before,
            peak_mib=peak_mib(),
            sets=len(entries),
            members=sum(entry.cardinality for entry in entries),
            disk_bytes=sum(path.stat().st_size for path in directory.path.rglob("*") if path.is_file()),
            adds_up=int(collection.messages.sum()) == count,
        )


def _batches(plan: Plan, alive: int) -> Iterator[NDArray[np.void]]:
    """Yield the replies of a census in the receiver's batches."""
    gathered: list[NDArray[np.void]] = []
    count = 0
    for replies in replies_of_census(plan, alive):
        gathered.append(replies)
        count += len(replies)
        if count >= BATCH_REPLIES:
            yield np.concatenate(gathered)
            gathered, count = [], 0
    if gathered:
        yield np.concatenate(gathered)
