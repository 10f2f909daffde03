"""A scan under watchers: they see its start, its progress, its notices and its end."""

from collections.abc import Callable

from liveness.scan.run import Finished
from liveness.watch.watchers import Watchers


def scan_watched(scan: Callable[..., Finished], watchers: Watchers) -> Finished:
    """Call `scan` (run_scan or resume_scan) with the functions of the watchers, and return its result."""
    with watchers as watch:
        finished = scan(on_start=watch.begin, on_progress=watch.update, on_notice=watch.notice)
        watch.end(finished.manifest)
    return finished
