"""Options for watching a scan, and the watchers that they select."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.options import with_options
from liveness.errors import UsageError

if TYPE_CHECKING:
    from liveness.cli.display import ScanDisplay
    from liveness.watch.watchers import Watcher, Watchers

METRICS = (
    click.option(
        "--metrics-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Keep metrics for Prometheus in this file, as node_exporter's textfile collector reads them (.prom).",
    ),
    click.option(
        "--metrics-address",
        metavar="HOST:PORT",
        help="Answer GET /metrics for Prometheus at this address during the run; :PORT is loopback.",
    ),
)
OPTIONS = (
    click.option(
        "--status-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write the state of the run to this file every second, one JSON document per line.",
    ),
    *METRICS,
)


metrics_options = with_options(*METRICS)
"""Decorator that adds the options for metrics to a command."""
watch_options = with_options(*OPTIONS)
"""Decorator that adds the options for watching to a command."""


def check_metrics_file(path: Path) -> None:
    """Raise UsageError for a file that node_exporter would not read."""
    if path.suffix != ".prom":
        raise UsageError(
            f"--metrics-file {path}: node_exporter reads files that end in .prom only: name it"
            f" {path.with_name((path.stem or path.name) + '.prom') if path.name else 'liveness.prom'}"
        )


def check_watching(status_file: Path | None, metrics_file: Path | None, metrics_address: str | None) -> None:
    """Raise an error for files that cannot be written or an address that is in use, without leaving anything behind."""
    from liveness.files.outputs import check_output

    if status_file is not None:
        check_output(status_file, "the status")
    if metrics_file is not None:
        check_output(metrics_file, "metrics")
    if metrics_address is not None:
        from liveness.watch.publishing import MetricsEndpoint

        endpoint = MetricsEndpoint(metrics_address)
        endpoint.open()
        endpoint.close()


def watchers_of(
    display: "ScanDisplay",
    status_file: Path | None,
    metrics_file: Path | None,
    metrics_address: str | None,
    census: str = "",
) -> "Watchers":
    """Return the display and the other watchers of a scan of a census."""
    from liveness.watch.watchers import Watchers

    found: list[Watcher] = [display]
    if status_file is not None:
        from liveness.watch.status import StatusFile

        found.append(StatusFile(status_file, log.warning))
    if metrics_file is not None or metrics_address is not None:
        from liveness.watch.publishing import MetricsEndpoint, MetricsFile

        if metrics_file is not None:
            check_metrics_file(metrics_file)
            found.append(MetricsFile(metrics_file, log.warning, census))
        if metrics_address is not None:
            found.append(MetricsEndpoint(metrics_address))
    return Watchers(found, display.notice)
