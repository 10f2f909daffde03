"""The scanner of a census: scans under watchers, which are opened only when a scan begins."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from liveness.config.load import resolve_targets
from liveness.config.model import Config
from liveness.net.links import in_lab
from liveness.scan.run import Finished, resume_scan, run_scan
from liveness.watch.scanning import scan_watched
from liveness.watch.watchers import Watchers


@dataclass(frozen=True, slots=True)
class CensusScanner:
    """Scanner of a census by its config.

    A call that is refused must not disturb the watchers of the run that is going on. Targets are read late too, because
    a resumed run has its own.
    """

    config: Config
    config_file: Path
    watchers: Watchers

    def begin(self, run_id: str) -> Finished:
        """Scan a new run with this run id."""
        targets = resolve_targets(self.config, in_lab(), self.config_file)
        return scan_watched(partial(run_scan, self.config, targets, run_id=run_id), self.watchers)

    def resume(self, path: Path) -> Finished:
        """Resume the run in a directory."""
        return scan_watched(partial(resume_scan, path), self.watchers)
