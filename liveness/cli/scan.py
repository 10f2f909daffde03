"""``liveness scan``: take a census, or show with --dryrun what it would send."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from liveness import log
from liveness.cli.interrupts import leave_early
from liveness.cli.messages import quieten
from liveness.cli.mistakes import naming
from liveness.cli.streams import print_result
from liveness.cli.watching import watch_options, watchers_of
from liveness.errors import UsageError, count_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from liveness.config.model import Config
    from liveness.scan.run import Finished

DEFAULT_NAME = "scan"
"""The name of a run that has neither a config nor --name."""


@click.command("scan")
@click.argument("targets", nargs=-1, metavar="[TARGETS]...")
@click.option(
    "-C", "--config", "config_file", type=click.Path(path_type=Path), help="The census, as YAML; options override it."
)
@click.option("--name", help="The name of the census: where its runs lie below the output directory.")
@click.option(
    "-w",
    "--allowlist-file",
    multiple=True,
    help="File of prefixes to probe, - for standard input; instead of the config's.",
)
@click.option("-b", "--blocklist-file", multiple=True, help="File of prefixes never to probe; added to the config's.")
@click.option("--skip-ipv6", is_flag=True, help="Leave lines of IPv6 in lists out, instead of refusing them.")
@click.option("-p", "--probes", help="Probes, separated by commas, e.g. icmp,tcp/80-90,dns.")
@click.option("-r", "--rate", help="Packets a second of each probe, e.g. 100kpps, 1.5Mpps, 0.2pps, 12/min; or auto.")
@click.option("-B", "--bandwidth", help="Bits a second of all probes together on the wire, e.g. 10M; instead of -r.")
@click.option("--rate-limit", help="How fast --rate auto may become, e.g. 50kpps or 100Mbps.")
@click.option("-e", "--seed", type=int, help="The seed of the order in which targets are probed.")
@click.option("-n", "--max-targets", help="Probe only so many targets, or a share such as 1%: a sample of every block.")
@click.option("-t", "--max-runtime", help="Stop after this time, e.g. 90s, 2h.")
@click.option("-c", "--cooldown-time", help="How long to wait for replies after each block, e.g. 10s.")
@click.option("-i", "--interface", help="Interface to send on.")
@click.option(
    "-S", "--source-ip", multiple=True, help="Address, range a-b or prefix to send from; may be given several times."
)
@click.option("-s", "--source-port", help="Range of ports to send from, e.g. 32768-61000.")
@click.option("-G", "--gateway-mac", help="Hardware address to send to.")
@click.option("-T", "--senders", help="Processes that send.")
@click.option("--shards", type=int, help="Number of machines that share this census.")
@click.option("--shard", type=int, help="The part that this machine sends: 0 to --shards less 1.")
@click.option("--vantage", help="Name of the place that this machine sends from.")
@click.option("--start-at", help="Begin at this time, e.g. 2026-12-01T00:00:00Z.")
@click.option("--slot", help="Time from the start of one block to that of the next, e.g. 3h30m: the same everywhere.")
@click.option("--start-offset", help="Begin this much after --start-at, e.g. 5s, so that vantage points take turns.")
@click.option("--secret", help="File from which shards derive the same cookie key and control port.")
@click.option("-o", "--output", help="Directory for runs.")
@click.option("--run-id", help="The name of this run's directory; the UTC time of its start if not given.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Resume the run in this directory, which ended early; takes -q and the options of watching, no others.",
)
@click.option("--contact", help="URL or address that every ICMP echo carries; required for public targets.")
@watch_options
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary on standard error.")
@click.option(
    "--dryrun", "--dry-run", is_flag=True, help="Show what would be sent; needs no privilege and sends nothing."
)
def command(
    targets: tuple[str, ...],
    config_file: Path | None,
    run_id: str | None,
    resume: Path | None,
    quiet: bool,
    dryrun: bool,
    status_file: Path | None,
    metrics_file: Path | None,
    metrics_address: str | None,
    **flags: Any,  # noqa: ANN401 - text, numbers and tuples, each checked when it overrides the config
) -> None:
    """Take a census of TARGETS (prefixes, ranges, addresses) or of those the config names.

    Prints the run's directory. Exit code 0 done, 1 failure, 2 wrong usage or config, 3 missing privilege or kernel
    feature, 4 refused by a safety rule, 5 stopped early with partial results, 130 or 143 interrupted.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # idle threads would keep privileges that a scan drops
    from liveness.config.load import load_config, resolve_targets
    from liveness.net.links import in_lab

    if quiet:
        quieten()
    watch = partial(_scan, watch=(status_file, metrics_file, metrics_address), quiet=quiet)
    if resume is not None:
        if (
            dryrun
            or run_id
            or config_file
            or targets
            or any(value is not None and value != () and value is not False for value in flags.values())
        ):
            raise click.UsageError("--resume continues a run as it was configured: only -q and watching options apply")
        from liveness.scan.run import resume_scan

        _leave(watch(partial(resume_scan, resume)))
        return
    if config_file is None and not targets and not flags["allowlist_file"]:
        raise click.UsageError("nothing to scan: give --config FILE, TARGETS, or --allowlist-file FILE")
    if flags["rate"] and flags["bandwidth"]:
        raise click.UsageError("--rate and --bandwidth both say how fast to send: give one of them")
    _check_files(flags)
    options = _options_of(targets)
    config = load_config(config_file, _overrides(config_file, targets, flags), options=options)
    with naming(config, config_file, options):
        resolved = resolve_targets(config, in_lab())
        if resolved.ipv6_lines:
            log.warning(f"{count_of(resolved.ipv6_lines, 'line')} of IPv6 skipped in the lists of targets")
        if dryrun:
            _check_start(config, run_id, status_file, metrics_file, metrics_address)
            from liveness.report.views.preview import preview_lines
            from liveness.scan.preview import preview

            for line in preview_lines(config, preview(config, resolved)):
                click.echo(line)
            return
        from liveness.scan.run import run_scan

        _leave(watch(partial(run_scan, config, resolved, run_id=run_id)))


def _check_start(
    config: "Config",
    run_id: str | None,
    status_file: Path | None,
    metrics_file: Path | None,
    metrics_address: str | None,
) -> None:
    """Raise the errors that the start would raise."""
    from liveness.cli.watching import check_watching
    from liveness.scan.preflight import check_start

    check_start(config, run_id)
    check_watching(status_file, metrics_file, metrics_address)


def _overrides(config_file: Path | None, targets: tuple[str, ...], flags: dict[str, Any]) -> dict[str, object]:
    """Return the options that override the config by the path of the field, None for those not given."""
    allow = (*targets, *flags["allowlist_file"])
    probes = flags["probes"]
    return {
        "name": flags["name"] or (DEFAULT_NAME if config_file is None else None),
        "targets.allow": allow or None,
        "targets.block": flags["blocklist_file"] or None,
        "targets.ipv6": "skip" if flags["skip_ipv6"] else None,
        "probes": tuple(probe.strip() for probe in probes.split(",")) if probes else None,
        "rate": _bandwidth(flags["bandwidth"]) or flags["rate"],
        "rate_limit": flags["rate_limit"],
        "seed": flags["seed"],
        "limits.max_targets": flags["max_targets"],
        "limits.max_runtime": flags["max_runtime"],
        "cooldown": flags["cooldown_time"],
        "network.interface": flags["interface"],
        "network.source_addresses": [part.strip() for text in flags["source_ip"] for part in text.split(",")] or None,
        "network.source_ports": flags["source_port"],
        "network.gateway_mac": flags["gateway_mac"],
        "senders": _senders(flags["senders"]),
        "shard.of": flags["shards"],
        "shard.index": flags["shard"],
        "vantage": flags["vantage"],
        "start_at": flags["start_at"],
        "slot": flags["slot"],
        "start_offset": flags["start_offset"],
        "secret": flags["secret"],
        "output": flags["output"],
        "contact": flags["contact"],
    }


OPTION_OF = {
    "name": "--name",
    "targets.block": "--blocklist-file",
    "probes": "--probes",
    "rate": "--rate",
    "rate_limit": "--rate-limit",
    "seed": "--seed",
    "limits.max_targets": "--max-targets",
    "limits.max_runtime": "--max-runtime",
    "cooldown": "--cooldown-time",
    "network.interface": "--interface",
    "network.source_addresses": "--source-ip",
    "network.source_ports": "--source-port",
    "network.gateway_mac": "--gateway-mac",
    "senders": "--senders",
    "shard.of": "--shards",
    "shard.index": "--shard",
    "vantage": "--vantage",
    "start_at": "--start-at",
    "slot": "--slot",
    "start_offset": "--start-offset",
    "secret": "--secret",
    "output": "--output",
    "contact": "--contact",
}
"""The options for fields of a config, for use in messages."""


def _options_of(targets: tuple[str, ...]) -> dict[str, str]:
    return {**OPTION_OF, "targets.allow": "TARGETS" if targets else "--allowlist-file"}


def _check_files(flags: dict[str, Any]) -> None:
    """Raise UsageError for a missing list file, naming its option; otherwise the error would be about a prefix."""
    for letter, option in (("-w", "allowlist_file"), ("-b", "blocklist_file")):
        for name in flags[option]:
            if name != "-" and not os.path.lexists(Path(name).expanduser()):
                raise UsageError(f"{letter} {name}: no such file (--{option.replace('_', '-')} reads lists and sets)")


def _bandwidth(text: str | None) -> str | None:
    """Return a bandwidth in the config's form; as in ZMap, the unit may be left out."""
    from liveness.config.units import Rate

    if text is None:
        return None
    try:
        return Rate(text if text.endswith("bps") else f"{text}bps")
    except ValueError:
        raise click.UsageError(f"--bandwidth: {text!r}: expected bits a second such as 10M or 1.5Gbps") from None


def _senders(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text


def _scan(
    scan: "Callable[..., Finished]", *, watch: tuple[Path | None, Path | None, str | None], quiet: bool
) -> "Finished":
    """Scan under the given watchers, and print the run's directory."""
    from liveness.cli.display import ScanDisplay
    from liveness.watch.scanning import scan_watched

    finished = scan_watched(scan, watchers_of(ScanDisplay(quiet=quiet), *watch))
    print_result(str(finished.directory.path))
    return finished


def _leave(finished: "Finished") -> None:
    """Exit with the exit code of a run that ended early; return for a complete one."""
    from liveness.scan.run import kept_in

    interruption = finished.interruption
    if interruption.reason is None:
        return
    line = f"{interruption.reason}: {kept_in(finished.directory.path)}"
    leave_early(line, interruption.signal_number)
