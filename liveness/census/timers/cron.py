"""Owns the lines of cron for a census: one for its schedule, one that goes on after a power cut."""

import re
import shlex
from collections.abc import Sequence
from typing import Final

from liveness.census.timers.job import CAPABILITIES, InstalledFile, Job
from liveness.errors import UsageError

SCHEDULES: Final = {
    "hourly": "17 * * * *",
    "daily": "17 3 * * *",
    "weekly": "17 3 * * 1",
    "monthly": "17 3 1 * *",
}
"""Away from full hours, when everybody's jobs begin."""
FIELD: Final = re.compile(r"[0-9*,/A-Za-z-]+")
FIELDS: Final = 5


def schedule_of(text: str) -> str:
    """Return the five fields of cron for a word such as ``weekly``, or the fields given. Raises UsageError."""
    fields = SCHEDULES.get(text, text).split()
    if len(fields) != FIELDS or not all(FIELD.fullmatch(one) for one in fields):
        words = ", ".join(SCHEDULES)
        raise UsageError(f"--schedule {text!r}: expected {words}, or five fields of cron such as '17 3 * * 1'")
    return " ".join(fields)


def cron_file(job: Job, schedule: str) -> InstalledFile:
    """Return the file for /etc/cron.d. Its jobs begin as root, which setpriv gives up for good before anything else."""
    run, go_on = (_line(job, job.command(*more)) for more in ((), ("--unfinished",)))
    return InstalledFile(
        job.label,
        f"# The census {job.name!r}, by liveness census install. It prints, and cron mails, only what went wrong.\n"
        f"SHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        f"{schedule_of(schedule)} root {run}\n@reboot root {go_on}\n",
    )


def _line(job: Job, command: Sequence[str]) -> str:
    """Return a command for cron: as a user of its own, with two capabilities; cron ends a command at a bare %."""
    held = ",".join("+" + name.removeprefix("CAP_").lower() for name in CAPABILITIES)
    limits = [f"--inh-caps=-all,{held}", f"--ambient-caps=-all,{held}", f"--bounding-set=-all,{held}"]
    user = [
        "setpriv",
        f"--reuid={job.user}",
        f"--regid={job.group}",
        "--init-groups",
        "--reset-env",
        "--no-new-privs",
        *limits,
    ]
    text = f"cd {shlex.quote(str(job.folder))} && umask 077 && exec {shlex.join([*user, *command])}"
    return text.replace("%", r"\%")
