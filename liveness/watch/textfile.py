"""File of metrics for the textfile collector of node_exporter, replaced by rename."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liveness.errors import LivenessError
from liveness.files.atomic import replaced


@dataclass(slots=True)
class TextFile:
    """File of metrics. A failed update is reported once, and tried again with the next update."""

    path: Path
    warn: Callable[[str], None]
    _reported: bool = False

    def replace(self, text: str) -> None:
        """Write the file. LivenessError if the disk refuses."""
        with replaced(self.path) as file:
            os.fchmod(file.fileno(), 0o644)  # the collector is another user, who must read it despite our umask
            file.write(text.encode())

    def write(self, text: str) -> None:
        """Write the file, and report the first failure."""
        try:
            self.replace(text)
        except LivenessError as error:
            if not self._reported:
                self.warn(str(error))
            self._reported = True
