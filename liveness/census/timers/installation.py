"""Installation of a timer for a census, planned first and then carried out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.census.timers.cron import cron_file
from liveness.census.timers.installing import (
    check_installing,
    enable,
    enabling,
    followed_by,
    hidden_from_others,
    install_files,
    job_of,
    prepare_output,
    watched,
)
from liveness.census.timers.job import InstalledFile, Job
from liveness.census.timers.systemd import units
from liveness.config.load import load_config

SYSTEMD_FOLDER: Final = Path("/etc/systemd/system")
CRON_FOLDER: Final = Path("/etc/cron.d")
CRON: Final = "cron"
"""The timer that is a file of cron; all others are units of systemd."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of a timer, and the directory that they go to."""

    job: Job
    files: list[InstalledFile]
    folder: Path
    by_cron: bool
    here: bool
    """Whether they go to where this machine's systemd or cron finds them."""

    @property
    def hidden(self) -> list[Path]:
        """The paths that a user that systemd makes up needs to read and cannot."""
        if self.job.user is not None:
            return []
        needed = (self.job.config, Path(self.job.program[0]))
        return [hidden for path in needed if (hidden := hidden_from_others(path)) is not None]

    def text(self) -> Iterator[str]:
        """Yield the content of each file under its path."""
        for file in self.files:
            yield f"# {self.folder / file.name}\n{file.text}"

    def install(self, report: Callable[[str], None]) -> None:
        """Write the files, and enable units that lie where they belong; `report` is called with each step.

        Raises LivenessError that names the file or the command that failed.
        """
        for path in install_files(self.files, self.folder):
            report(f"installed {path}")
        if self.here and self.job.user is not None:
            prepare_output(self.job)
        if self.by_cron:
            return
        if self.here:
            enable(enabling(self.files))
        else:
            commands = " && ".join(" ".join(words) for words in enabling(self.files))
            report(f"enable them where they belong: {commands}")


def planned(
    config_file: Path,
    timer: str,
    schedule: str | None,
    user: str | None,
    folder: Path | None,
    watching: tuple[Path | None, Path | None, str | None] = (None, None, None),
    survey: tuple[Path, str, Path, bool] | None = None,
) -> Installation:
    """Return the installation of a timer for a config; `watching` are options that publish the state of its scans.

    `survey` has output, name and config file of the survey that follows the census, and whether its duration is
    limited. Raises UsageError for a user, a directory or a schedule that cannot be.
    """
    by_cron = timer == CRON
    job = job_of(load_config(config_file), config_file, user, by_cron=by_cron)
    check_installing(user, folder)
    job = watched(job, *watching)
    if survey is not None:
        output, name, file, limited = survey
        job = followed_by(job, output, name, file, limited=limited)
    files = [cron_file(job, schedule or "weekly")] if by_cron else units(job, schedule or timer)
    return Installation(
        job, files, folder or (CRON_FOLDER if by_cron else SYSTEMD_FOLDER), by_cron, here=folder is None
    )
