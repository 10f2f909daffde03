"""``liveness flows``: flow records of any format: summary, output, conversion, metering and collection."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.flow_inputs import FILES, Inputs, takes_inputs
from liveness.cli.flow_notes import report_damage, report_undecoded
from liveness.cli.interrupts import interrupts, stop_on_signals
from liveness.cli.options import LONGEST_S, Finite
from liveness.errors import StoppedEarlyError, UsageError, one_line

if TYPE_CHECKING:
    from liveness.flows.record import Notes


@click.group("flows")
def command() -> None:
    """Look at flow records of any format, convert, meter and collect them.

    \b
    Formats, recognised by their first bytes:
      nfcapd       files of nfcapd, nfpcapd and nfdump 1.7 (plain, lzo, lz4, bz2, zstd)
      netflow-v5   datagrams one after another, as netflow-v9 and ipfix
      capture      pcap and pcapng: the exports in it, or else its packets, metered
      silk         RWGENERIC and RWIPV6ROUTING (plain, zlib, lzo1x)
      flowtuple    FlowTuple version 3 of Corsaro (Avro)
      zeek-tsv     Zeek's conn.log, as zeek-json
      argus-csv    ra -c, -u -n -s stime ltime proto saddr sport dir daddr dport
                   spkts dpkts sbytes dbytes state
      csv          with a header line; parquet likewise: columns start, end, src, dst,
                   sport, dport, protocol, packets, bytes, flags, exporter
      spool        records that a collector has not converted to Parquet yet
    """  # noqa: D301 - click wants the character itself


@command.command("info")
@takes_inputs
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; of several files a list of them.")
def info(inputs: Inputs, *, as_json: bool) -> None:
    """Sum up flow files: records, packets, bytes, times, exporters, and what could not be decoded."""
    from liveness.cli.printing import print_document
    from liveness.flows.summary import document_of, lines_of, summarise

    options = inputs.options()
    summaries = [summarise(file, inputs.format_name, options) for file in inputs.files]
    if as_json:
        documents = [document_of(summary) for summary in summaries]
        print_document(documents[0] if len(documents) == 1 else documents)
    else:
        for summary in summaries:
            click.echo("\n".join(lines_of(summary)))
    _end_with_damage([line for summary in summaries for line in summary.notes.damage])


@command.command("cat")
@takes_inputs
@click.option("--json", "as_json", is_flag=True, help="Print an object a line instead of CSV.")
@click.option("-n", "--limit", type=click.IntRange(0), metavar="N", help="Print no more than N records.")
def cat(inputs: Inputs, *, as_json: bool, limit: int | None) -> None:
    """Print flow records as CSV with a header line, or as JSON."""
    from liveness.flows.record import Notes
    from liveness.flows.write import HEADER, csv_lines, json_lines

    notes = Notes()
    left = limit
    batches = inputs.read(notes)
    if not as_json:
        sys.stdout.write(",".join(HEADER) + "\n")
    for batch in batches:
        flows = batch if left is None else batch[:left]
        sys.stdout.write((json_lines if as_json else csv_lines)(flows, _printable_names(notes)))
        if left is not None:
            left -= len(flows)
            if left == 0:
                break
    report_undecoded(notes.undecoded)
    _end_with_damage(notes.damage)


@command.command("convert")
@takes_inputs
@click.option(
    "-o",
    "--output-file",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .parquet or .csv file.",
)
@click.option("--remove-input", is_flag=True, help="Remove the inputs once the output is safe on disk and whole.")
def convert(inputs: Inputs, output_file: Path, *, remove_input: bool) -> None:
    """Write flow records of any format to one Parquet or CSV file."""
    from liveness.files.outputs import check_output
    from liveness.flows.record import Notes
    from liveness.flows.write import write_flows

    if any(
        file != "-" and output_file.exists() and Path(file).exists() and output_file.samefile(file)
        for file in inputs.files
    ):
        raise UsageError(f"-o {output_file}: this is one of the inputs: give another name")
    check_output(output_file, "flows")
    notes = Notes()
    count = write_flows(inputs.read(notes), notes, output_file)
    log.info(f"{count:,} flows written to {output_file}")
    report_undecoded(notes.undecoded)
    _end_with_damage(notes.damage)
    if remove_input:
        for file in inputs.files:
            Path(file).unlink(missing_ok=True)


@command.command("meter")
@FILES
@click.option(
    "-o",
    "--output-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .parquet or .csv file instead of CSV on standard output.",
)
@click.option(
    "--idle",
    "idle_s",
    type=Finite(0.001, LONGEST_S),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="A flow ends after so long a silence.",
)
@click.option(
    "--active",
    "active_s",
    type=Finite(0.001, LONGEST_S),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="A flow that lasts longer is split.",
)
@click.option(
    "--table",
    "table_flows",
    type=click.IntRange(16, 1 << 26),
    default=1 << 20,
    show_default=True,
    metavar="N",
    help="Flows at once; beyond them those seen least recently end.",
)
def meter(files: tuple[str, ...], output_file: Path | None, idle_s: float, active_s: float, table_flows: int) -> None:
    """Turn the packets of captures into flow records."""
    from liveness.files.outputs import check_output
    from liveness.flows.captures import meter_files
    from liveness.flows.record import Notes
    from liveness.flows.write import HEADER, csv_lines, write_flows

    click.get_current_context().with_resource(interrupts.ending_queries_soon())
    notes = Notes()
    batches = meter_files(files, notes, idle_s, active_s, table_flows)
    if output_file is not None:
        check_output(output_file, "flows")
        count = write_flows(batches, notes, output_file)
        log.info(f"{count:,} flows written to {output_file}")
    else:
        sys.stdout.write(",".join(HEADER) + "\n")
        for flows in batches:
            sys.stdout.write(csv_lines(flows, _printable_names(notes)))
    report_undecoded(notes.undecoded)
    _end_with_damage(notes.damage)


@command.command("collect")
@click.option(
    "--listen",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on; 0.0.0.0 is all of them.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=2055,
    show_default=True,
    metavar="PORT",
    help="The UDP port to listen on.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder for Parquet files, spool and templates.",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.IntRange(1, 86400),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="How much time a file covers.",
)
def collect(listen: str, port: int, output: Path, interval_s: int) -> None:
    """Take NetFlow v5, v9 and IPFIX from exporters over UDP, until SIGINT or SIGTERM.

    Every interval becomes a Parquet file. What has come is on disk within a second; a collector that was killed turns
    what it had into a file when it is started again. Templates are kept.
    """
    from liveness.flows.collector import Collector, make_folder

    make_folder(output)
    collector = Collector(output, listen, port, interval_s, log.notice)

    stop_on_signals(collector)
    with collector.open() as handle:
        log.info(f"listening on {listen} port {port}, into {output}")
        collector.run(handle)
    log.info(
        f"{collector.flows:,} flows from {collector.datagrams:,} datagrams; {collector.unrecognised:,} were no"
        f" exports; lost: {collector.overflows:,} datagrams here, {collector.missing:,} by sequence numbers"
    )
    report_undecoded(collector.notes.undecoded)


def _printable_names(notes: "Notes") -> list[str]:
    """Return exporters' names for standard output, without control characters that a file may contain."""
    return [one_line(name) for name in notes.exporter_names()]


def _end_with_damage(damage: list[str]) -> None:
    """Report all damage; the last line is the error with which the command ends."""
    report_damage(damage)
    if damage:
        sys.stdout.flush()
        raise StoppedEarlyError(damage[-1])
