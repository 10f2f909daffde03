"""``liveness config``: check a config before it runs, show its resolved form, and begin a new one."""

import json
import os
import stat
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.mistakes import naming
from liveness.errors import count_of

if TYPE_CHECKING:
    from liveness.config.estimate import Estimate
    from liveness.config.model import Config
    from liveness.space.targets import Targets

STARTING_CONFIG = "starting.yaml"
DEFAULT_LIST = "blocklist.txt"
"""The blocklist that the starting config names."""

FILE = click.argument("file", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group("config")
def command() -> None:
    """Check, show and start configs of a census."""


@command.command()
@FILE
@click.option("--lab", is_flag=True, help="Judge targets as inside the lab, where private addresses may be probed.")
@click.option(
    "--elsewhere", is_flag=True, help="It will run on another host: leave out interface, sources, user, programs."
)
@AS_JSON
def check(file: Path, lab: bool, elsewhere: bool, as_json: bool) -> None:
    """Load FILE with its target lists and print what its census would do. Sends nothing.

    What would stop the scan at its start is refused as the scan would, with the same exit code: a directory that cannot
    be written, an interface that is not there, a source address of another host, a program to notify by that is none.
    """
    from liveness.config.estimate import estimate
    from liveness.config.load import load_config, resolve_targets
    from liveness.net.links import in_lab
    from liveness.scan.preflight import check_notify, check_start
    from liveness.scan.session import plan_run

    config = load_config(file)
    with naming(config, file):
        targets = resolve_targets(config, lab or in_lab(), origin=file)
        load = plan_run(config, targets).load
        check_start(config, host=not elsewhere and (in_lab() or not lab))
        if not elsewhere:
            check_notify(config.notify, str(file))
    forecast = estimate(config, targets, load.wire_bits)
    if as_json:
        click.echo(json.dumps(as_document(config, targets, forecast), indent=2))
    else:
        click.echo(summary(file, config, targets, forecast))


@command.command()
@FILE
@AS_JSON
def show(file: Path, as_json: bool) -> None:
    """Print FILE as it resolves: environment and defaults filled in, every value in its canonical form."""
    from liveness.config.load import load_config
    from liveness.config.model import to_document
    from liveness.files.yaml import dump_yaml

    document = to_document(load_config(file))
    click.echo(json.dumps(document, indent=2) if as_json else dump_yaml(document), nl=as_json)


@command.command()
def variables() -> None:
    """Print every field of a config, the variable of the environment that sets it, and its default."""
    from liveness.config.fields import field_rows

    for row in field_rows():
        click.echo("  ".join((f"{row.field:<28}", f"{row.variable:<40}", row.default)).rstrip())


@command.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def init(file: Path | None) -> None:
    """Print a commented config for a careful first scan, or write it to FILE, and begin its blocklist next to it.

    The config names blocklist.txt, which is begun empty unless it is there: in the folder of FILE, or of the file that
    the output goes to (liveness config init > census.yaml), or here.
    """
    from liveness.errors import UsageError
    from liveness.files.atomic import write_atomically

    text = (resources.files("liveness.config") / STARTING_CONFIG).read_text(encoding="utf-8")
    if file is None:
        click.echo(text, nl=False)
        folder = _folder_of_output()
        if folder is None:
            return
    else:
        if file.exists():
            raise UsageError(f"{file}: exists already: remove it first, or name another file")
        write_atomically(file, text.encode(), mode=0o644)
        folder = file.parent
    _begin_blocklist(folder / DEFAULT_LIST)


def _folder_of_output() -> Path | None:
    """Return the folder of the file that stdout goes to, the current one for a pipe; None for terminal and device."""
    try:
        descriptor = sys.stdout.fileno()
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return Path(f"/proc/self/fd/{descriptor}").readlink().parent
    except OSError:
        return None
    return Path() if stat.S_ISFIFO(status.st_mode) else None


def _begin_blocklist(path: Path) -> None:
    from liveness.config.blocklists import begin
    from liveness.errors import LivenessError

    try:
        if begin(path):
            log.info(f"{path}: begun, an empty blocklist", lead="")
    except LivenessError as error:
        log.warning(f"{error}: begin it with `liveness blocklist add`")


def summary(file: Path, config: "Config", targets: "Targets", forecast: "Estimate") -> str:
    """Return what a checked config will do, a line for each question before a scan."""
    from liveness.space.special import registry_date

    limited = f", {forecast.targets:,} of them by limits.max_targets" if forecast.targets < targets.count else ""
    names = [*config.probes, "tcp/control"] if config.control else list(config.probes)
    lines = {
        "targets": f"{targets.count:,}{limited}",
        "left out": f"{targets.blocked:,} by the blocklist, {targets.special:,} special-purpose "
        f"(IANA, {registry_date()}), of {targets.allowed:,} allowed"
        + (f"; {count_of(targets.ipv6_lines, 'line')} of IPv6" if targets.ipv6_lines else ""),
        "blocks": f"{forecast.blocks:,} of a /{config.block_prefix} each",
        "probes": f"{', '.join(names)}; {config.retransmit.attempts} attempts",
        "packets": f"{forecast.packets:,}",
        "rate": rate_text(config, forecast),
        "duration": f"{'at least' if config.rate.auto else 'about'} {duration_text(forecast.duration_s)}",
        "busiest": peak_text(config, forecast),
        "contact": config.contact or "none",
    }
    return "\n".join([f"{file}: a sound config named {config.name!r}", *(f"  {key:<9} {lines[key]}" for key in lines)])


def as_document(config: "Config", targets: "Targets", forecast: "Estimate") -> dict[str, object]:
    """Return the same as a JSON document; durations in seconds."""
    return {
        "name": config.name,
        "targets": targets.count,
        "allowed": targets.allowed,
        "blocked": targets.blocked,
        "special_purpose": targets.special,
        "ipv6_lines": targets.ipv6_lines,
        "public": targets.public,
        "probed": forecast.targets,
        "blocks": forecast.blocks,
        "probes": forecast.probes,
        "attempts": config.retransmit.attempts,
        "packets": forecast.packets,
        "rate": config.rate,
        "rate_pps": forecast.rate_pps,
        "probe_rate_pps": forecast.probe_rate_pps,
        "bandwidth_bps": forecast.bandwidth_bps,
        "duration_s": forecast.duration_s,
        "peak_pps_per_24": forecast.peak_pps_per_24,
        "max_pps_per_24": config.limits.max_pps_per_24,
    }


def peak_text(config: "Config", forecast: "Estimate") -> str:
    """Return the peak load of the busiest /24, and its limit."""
    limit = config.limits.max_pps_per_24
    allowed = "no limits.max_pps_per_24" if limit is None else f"{limit:g} allowed"
    return f"{forecast.peak_pps_per_24:,.0f} packets at most in the busiest second of any /24 ({allowed})"


def rate_text(config: "Config", forecast: "Estimate") -> str:
    """Return a rate in packets a second, total and of each probe, and in bits a second on the wire."""
    each, total = rate_number(forecast.probe_rate_pps), rate_number(forecast.rate_pps)
    found = "found while it runs, at most " if config.rate.auto else ""
    return (
        f"{found}{total} packets/s in all, {each} for each probe, {bandwidth_text(forecast.bandwidth_bps)} on the wire"
    )


def rate_number(rate_pps: float) -> str:
    """Return packets a second with one decimal place, with three digits below one."""
    return f"{rate_pps:,.1f}".removesuffix(".0") if rate_pps >= 1 else f"{rate_pps:.3g}"


def bandwidth_text(bps: int) -> str:
    """Return bits a second with three digits and a decimal prefix: 9.87 Mbit/s."""
    value, unit = float(bps), "bit/s"
    for larger in ("kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"):
        if round(value) < 1_000:  # noqa: PLR2004 - where the next unit begins
            break
        value, unit = value / 1_000, larger
    return f"{value:.3g} {unit}"


def duration_text(seconds: float) -> str:
    """Return a span in its two largest units."""
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
