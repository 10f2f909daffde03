"""Results to report on: the town, a silent network, many ports, several runs, and a run that lost packets."""

from dataclasses import replace

import msgspec

from liveness.analysis.counting.scope import WHOLE, Scope
from liveness.analysis.measure import RunResults
from liveness.analysis.results import Results, analyze_sets
from liveness.runs.course import Lag, LanePassing, Timeline
from liveness.runs.manifest import Manifest
from tests.populations import EIGHT, Population, town

HOSTILE = '<b>"x"</b> & $x_1$ 名前'
"""The name of a run that a page, a figure and a folder must survive."""


def results(*populations: Population, scope: Scope = WHOLE, **changes: object) -> Results:
    """Analyse populations; `changes` are made to the manifest of each."""
    pairs = [
        (msgspec.structs.replace(population.manifest(), **changes), population.open_set) for population in populations
    ]
    return analyze_sets(pairs, scope)


def run_of(population: Population, scope: Scope = WHOLE, **changes: object) -> RunResults:
    return results(population, scope=scope, **changes).runs[0]


def weekly(runs: int) -> list[Population]:
    """Return the town week after week, somewhat smaller or larger each time."""
    replies = town().replies
    return [
        replace(
            town(),
            replies=[reply for reply in replies if (reply.source + week // 2) % 7],
            name="weekly",
            run_id=f"2026-11-{1 + 7 * week:02}",
            started=f"2026-11-{1 + 7 * week:02}T00:00:00Z",
        )
        for week in range(runs)
    ]


def full_manifest(manifest: Manifest) -> Manifest:
    """Return a manifest with everything that figures and page show: lag, timeline, vantage."""
    seconds = 30
    timeline = Timeline(
        end_s=[2.0 * (second + 1) for second in range(seconds)],
        sent=[1000 + second for second in range(seconds)],
        completed=[1000] * seconds,
        send_errors=[0] * seconds,
        packets=[600 - second for second in range(seconds)],
        accepted=[500] * seconds,
        rejected=[1] * seconds,
        kernel_drops=[7 if second == 9 else 0 for second in range(seconds)],
        nic_drops=[0] * seconds,
        interface_sent=[0] * seconds,
        interface_received=[0] * seconds,
    )
    lanes = [
        LanePassing(
            block="0.0.0.0/3",
            probe=probe,
            attempt=attempt,
            passed_s=[target * 20 + place * 0.1 * (target + 1) + 20 * attempt for target in range(10)] + [None],
        )
        for attempt in range(2)
        for place, probe in enumerate(EIGHT)
    ]
    return msgspec.structs.replace(
        manifest,
        timeline=timeline,
        lag=Lag(every_targets=1_000_000, lanes=lanes, max_s=7.0, p80_s=5.74),
        host="vantage.example",
        kernel="6.1.0",
        interface="eth0",
        source_addresses=["192.0.2.1"],
        finished="2026-11-21T01:00:00Z",
        config={"name": manifest.name, "seed": 73, "targets": {"allow": ["10.0.0.0/8"]}},
    )


def full() -> RunResults:
    """Return the town with everything."""
    return analyze_sets([(full_manifest(town().manifest()), town().open_set)], Scope(alive24=True)).runs[0]
