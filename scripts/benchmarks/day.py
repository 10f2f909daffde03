"""``scripts/bench day``: a day of flow records of a network's border, classified from files to the report."""

import tempfile
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np
import yaml

from liveness.errors import LivenessError
from liveness.flows.record import Flows
from scripts.benchmarks import flow_files, one_way
from scripts.benchmarks.measured import measured
from scripts.benchmarks.output import as_json_option, print_facts, print_json

INTERVAL_S: Final = 600
INTERVALS: Final = 144
"""Of ten minutes: a day."""
FEW: Final = 10_000
SERVERS: Final = 250
NS_PER_MS: Final = 1_000_000


@click.command("day")
@click.option("--records", default=100_000_000, show_default=True, type=click.IntRange(1000), help="Flow records.")
@click.option("--intervals", default=INTERVALS, show_default=True, type=click.IntRange(1), help="Of ten minutes each.")
@click.option(
    "--directory", type=click.Path(exists=True, file_okay=False), help="Where files go: 140 bytes for each record."
)
@as_json_option
def command(records: int, intervals: int, directory: str | None, as_json: bool) -> None:
    """Run liveness passive over nfcapd files of a day, one for each interval, and measure its time and memory.

    A third of the records begins connections to 250 servers with eight services each, a third answers them, and a third
    scans. Most flows are between two addresses that had none before, which is the worst case for the history.
    """
    with tempfile.TemporaryDirectory(prefix="liveness-bench-", dir=directory) as folder:
        click.echo("writing the flow records", err=True)
        few = classify_day(Path(folder) / "few", min(records, FEW), 2)  # kernels are compiled from here on
        found = classify_day(Path(folder) / "day", records, intervals)
    if not few["records"] or found["records"] != records // intervals * intervals:
        raise LivenessError(f"{found['records']} of {records} records were read")
    if as_json:
        print_json("day", found)
        return
    print_facts("A day of flow records", found)


def classify_day(folder: Path, records: int, intervals: int) -> dict[str, Any]:
    """Write a day's files and run the command over them; return what it took."""
    (folder / "flows").mkdir(parents=True)
    random = np.random.default_rng(1)
    remotes = one_way.draw_remotes(random)
    for number in range(intervals):
        start_ns = (one_way.EPOCH_S + INTERVAL_S * number) * 10**9
        flows = one_way.draw_interval(random, remotes, records // intervals, start_ns, SERVERS)
        _write(folder / "flows" / f"nfcapd.{number:04}", flows)
    size = sum(file.stat().st_size for file in (folder / "flows").iterdir())
    config = {
        "name": "bench", "local": ["10.0.0.0/16"], "inputs": [str(folder / "flows")], "output": str(folder / "sets")
    }  # fmt: skip
    (folder / "day.yaml").write_text(yaml.safe_dump(config))
    run = measured("passive", "run", "--config", str(folder / "day.yaml"), "--quiet")
    document = msgspec.json.decode(Path(run.output.decode().strip(), "passive.json").read_bytes())
    return {
        "records": document["records"]["read"],
        "intervals": len(document["intervals"]),
        "file_mib": size >> 20,
        "wall_s": round(run.wall_s, 1),
        "cpu_s": round(run.cpu_s, 1),
        "peak_mib": run.peak_kib >> 10,
    }


def _write(path: Path, flows: Flows) -> None:
    """Write flow records to an nfcapd file."""
    columns = {name: flows[name].astype(np.int64) for name in ("src", "dst", "sport", "dport", "packets", "bytes")}
    columns["protocol"], columns["tcp"] = flows["protocol"].astype(np.int64), flows["flags"].astype(np.int64)
    columns["first"], columns["last"] = flows["start_ns"] // NS_PER_MS, flows["end_ns"] // NS_PER_MS
    flow_files.write_nfcapd(path, columns)
