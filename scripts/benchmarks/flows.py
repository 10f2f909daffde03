"""``scripts/bench flows``: how fast flow files are read and packets metered, with nfdump reading the same file."""

import resource
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
from scripts.benchmarks import collected, flow_files, one_way
from scripts.benchmarks.output import as_json_option, print_json, print_table

MILLION: Final = 1_000_000


@click.command("flows")
@click.option("--records", default=MILLION, show_default=True, type=click.IntRange(1000), help="Records a file.")
@click.option("--keys", default=100_000, show_default=True, type=click.IntRange(1), help="Flows that are metered.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often each is read.")
@click.option("--rate", default=100_000, show_default=True, type=click.IntRange(1), help="Flows a second collected.")
@as_json_option
def command(records: int, keys: int, rounds: int, rate: int, as_json: bool) -> None:
    """How many records a second are read from each format, packets metered, and flows collected.

    Files are read in turn, round by round, with a warm cache. Where nfdump is installed it aggregates the same nfcapd
    file by protocol, the least that it does with every record. By the clock: medians of the rounds. By CPU time, which
    other processes of a busy machine disturb less: the best round. What is classified (`liveness passive`) takes two
    cores, and the CPU time of both. Last a collector takes NetFlow v5 over loopback at --rate, for some seconds.
    """
    with tempfile.TemporaryDirectory(prefix="liveness-bench-") as folder:
        files = make_files(Path(folder), records, keys)
        contestants = {name: partial(count_in, path) for name, path in files.items()}
        contestants["paired, signed and classified"] = partial(one_way.classify, one_way.draw(records))
        if shutil.which("nfdump"):
            contestants["nfdump, the nfcapd file"] = partial(aggregate, files["nfcapd"], records)
        for each in contestants.values():  # kernels are compiled, files are in memory
            each()
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, each in contestants.items():
                begun, cpu_begun = time.perf_counter(), cpu_s()
                count = each()
                times[name].append(((time.perf_counter() - begun) / count, (cpu_s() - cpu_begun) / count))
    rates = {name: per_million(statistics.median(wall for wall, _ in taken)) for name, taken in times.items()}
    by_cpu = {name: per_million(min(cpu for _, cpu in taken)) for name, taken in times.items()}
    taken = collected.collect(flow_files.draw(min(records, rate * 5)), rate)
    if as_json:
        document = {
            "records": records, "rounds": rounds, "million_a_second": rates, "million_a_cpu_second": by_cpu,
            "collector": {"rate": rate, **taken._asdict()},
        }  # fmt: skip
        print_json("flows", document)
        return
    rows = [(name, rates[name], by_cpu[name]) for name in rates]
    print_table("Records read, or packets metered, millions", ("what", "a second", "a CPU second"), rows)
    lost = taken.sent - taken.received
    click.echo(
        f"collector at {rate:,} flows/s: {taken.received:,} of {taken.sent:,} flows, {lost:,} lost, "
        f"{per_million(taken.cpu_s / max(1, taken.received))} million flows a CPU second"
    )


def cpu_s() -> float:
    """Return the CPU time of this process and of the children that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def per_million(each_s: float) -> float:
    """Return millions a second from seconds for each."""
    return round(1 / max(each_s, 1e-12) / MILLION, 3)


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
