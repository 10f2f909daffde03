"""``scripts/bench across``: the comparison of vantage points, at the size of a census of the whole address space."""

import resource
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import click
import numpy as np

from liveness.analysis.counting.opened import OpenRun, OpenSet
from liveness.analysis.counting.partition import Partition, by_prefixes
from liveness.analysis.counting.probed import Probed
from liveness.analysis.origins.counts import OriginCounts, count_origins
from liveness.analysis.origins.design import design_of
from liveness.analysis.origins.measures.registry import ORIGINS
from liveness.ipsets.portable_index import PortableSet
from liveness.ipsets.roaring import from_numpy, serialized
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Manifest, ProbeCounts, Vantage
from liveness.runs.set_entry import SetEntry
from liveness.space.intervals import Intervals
from scripts.benchmarks.output import as_json_option, print_facts, print_json

FIRST, END = 1 << 24, 224 << 24
"""The targets: some 3.7 billion addresses."""
VISIBLE = 0.97
NETWORKS = 70_000
PREFIXES = 900_000
PREFIX_BITS = 20


@click.command("across")
@click.option(
    "--hosts", default=20_600_000, show_default=True, type=click.IntRange(1000, 1 << 28), help="How many reply."
)
@click.option("--places", default=3, show_default=True, type=click.IntRange(2, 12), help="How many vantage points.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="How often they are compared.")
@as_json_option
def command(hosts: int, places: int, rounds: int, as_json: bool) -> None:
    """How long the comparison of vantage points takes for one probe and kind of reply.

    Draws a population in memory, of which each vantage point sees 97%, and counts it as one probe and as all probes
    together, without slices and by 70,000 autonomous systems. CPU times are the least of the rounds.
    """
    random = np.random.default_rng(1)
    runs = _runs(random, hosts, places)
    probed = [Probed(run.manifest, Intervals.from_bounds([FIRST], [END - 1])) for run in runs]
    document: dict[str, object] = {"places": places, "members": sum(int(run.sets[0].index.cardinality) for run in runs)}
    for name, partition in (("plain", None), ("by_asn", _partition(random))):
        found = [_measured(runs, probed, partition) for _ in range(rounds + 1)][1:]  # the first compiles
        document[f"{name}_cpu_s"] = round(min(found) / 2, 2)  # the probe, and all probes together
    document["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    if as_json:
        print_json("across", document)
        return
    print_facts("Comparison of vantage points, for one probe and kind of reply", document)


def _runs(random: np.random.Generator, hosts: int, places: int) -> list[OpenRun]:
    """Return a run of each vantage point, in memory."""
    everyone = np.unique(random.integers(FIRST, END, hosts, dtype=np.int64)).astype(np.uint32)
    runs = []
    with ThreadPoolExecutor(1) as pool:
        for place in range(places):
            content, digest = serialized(from_numpy(everyone[random.random(len(everyone)) < VISIBLE]))
            entry = SetEntry.of(SetKey(ReplyKey("tcp/80", Kind.SYN_ACK), Role.SOURCE), digest)
            manifest = Manifest(
                name="census",
                run_id=f"place{place}",
                status="complete",
                seed=1,
                config={},
                started="2026-11-21T00:00:00Z",
                targets=END - FIRST,
                probes={"tcp/80": ProbeCounts(sent=[END - FIRST])},
                sets=[entry],
                vantage=Vantage(name=f"place{place}"),
            )
            runs.append(OpenRun(manifest, _opener(content), pool))
    return runs


def _opener(content: bytes) -> OpenSet:
    """Return a function that opens a run's only set."""
    members = PortableSet.of_bytes(content)

    def opened(entry: SetEntry) -> PortableSet:
        del entry
        return members

    return opened


def _partition(random: np.random.Generator) -> Partition:
    """Return the whole space in prefixes of many networks."""
    bases = random.permutation(1 << PREFIX_BITS)[:PREFIXES].tolist()
    return by_prefixes("asn", ((base << (32 - PREFIX_BITS), PREFIX_BITS, str(base % NETWORKS)) for base in bases))


def _measured(runs: Sequence[OpenRun], probed: Sequence[Probed], partition: Partition | None) -> float:
    """Return the CPU seconds of one comparison."""
    before = _cpu_s()
    counts: OriginCounts = count_origins(runs, design_of(probed), partition)
    for measure in ORIGINS:
        measure.compute(counts)
    return _cpu_s() - before


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
