"""``scripts/bench flows``: how fast flow files are read and packets metered, with nfdump reading the same file."""

import shutil
import statistics
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import click
import numpy as np

from liveness.flows import formats
from liveness.flows.record import Notes
from scripts.benchmarks import flow_files, one_way
from scripts.benchmarks.output import as_json_option, print_json, print_table

MILLION: Final = 1_000_000


@click.command("flows")
@click.option("--records", default=MILLION, show_default=True, type=click.IntRange(1000), help="Records a file.")
@click.option("--keys", default=100_000, show_default=True, type=click.IntRange(1), help="Flows that are metered.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often each is read.")
@as_json_option
def command(records: int, keys: int, rounds: int, as_json: bool) -> None:
    """How many records a second are read from each format, and packets metered, on one core.

    Files are read in turn, round by round, with a warm cache. Where nfdump is installed it aggregates the same nfcapd
    file by protocol, the least that it does with every record. What is classified (`liveness passive`) takes two cores.
    """
    with tempfile.TemporaryDirectory(prefix="liveness-bench-") as folder:
        files = make_files(Path(folder), records, keys)
        contestants = {name: partial(count_in, path) for name, path in files.items()}
        contestants["paired, signed and classified"] = partial(one_way.classify, one_way.draw(records))
        if shutil.which("nfdump"):
            contestants["nfdump, the nfcapd file"] = partial(aggregate, files["nfcapd"], records)
        for each in contestants.values():  # kernels are compiled, files are in memory
            each()
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, each in contestants.items():
                begun = time.perf_counter()
                count = each()
                times[name].append((time.perf_counter() - begun) / count)
    rates = {name: round(1 / statistics.median(taken) / MILLION, 3) for name, taken in times.items()}
    if as_json:
        print_json("flows", {"records": records, "rounds": rounds, "million_a_second": rates})
        return
    print_table(
        "Records read, or packets metered, medians of the rounds", ("what", "million a second"), list(rates.items())
    )


def make_files(folder: Path, records: int, keys: int) -> dict[str, Path]:
    """Write a file in each format and return them by name."""
    columns = flow_files.draw(records)
    files = {name: folder / name for name in ("nfcapd", "netflow-v5", "netflow-v9", "ipfix")}
    flow_files.write_nfcapd(files["nfcapd"], columns)
    flow_files.write_v5(files["netflow-v5"], columns)
    flow_files.write_messages(files["netflow-v9"], columns, 9)
    flow_files.write_messages(files["ipfix"], columns, 10)
    files["metered packets"] = folder / "packets.pcap"
    flow_files.write_capture(files["metered packets"], columns, keys)
    return files


def count_in(path: Path) -> int:
    """Read a flow file and return how many records it has; of a capture how many packets were metered."""
    form = formats.recognise(str(path))
    count = 0
    for flows in form.read(str(path), Notes(), formats.Options()):
        count += int(flows["packets"].sum(dtype=np.uint64)) if path.suffix == ".pcap" else len(flows)
    return count


def aggregate(path: Path, records: int) -> int:
    """Have nfdump read a file; return how many records it has."""
    subprocess.run(["nfdump", "-r", str(path), "-q", "-A", "proto"], check=True, capture_output=True)
    return records
