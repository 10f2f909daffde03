"""Lines of cron for a census: one for its schedule, and one that resumes an unfinished run after a reboot."""

import shlex
from collections.abc import Sequence

from liveness.census.timers.fields import SCHEDULES, schedule_of
from liveness.census.timers.job import CAPABILITIES, InstalledFile, Job

__all__ = ["SCHEDULES", "cron_file", "schedule_of"]


def cron_file(job: Job, schedule: str) -> InstalledFile:
    """Return the file for /etc/cron.d. Its jobs start as root, and setpriv drops those privileges before the census."""
    run, resume = (_line(job, job.command(*more)) for more in ((), ("--unfinished",)))
    return InstalledFile(
        job.label,
        f"# The census {job.name!r}, by liveness census install. It prints, and cron mails, only what went wrong.\n"
        f"SHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        f"{schedule_of(schedule)} root {run}\n@reboot root {resume}\n",
    )


def _line(job: Job, command: Sequence[str]) -> str:
    """Return a command line for cron, run as the job's user with two capabilities. Percent signs are escaped."""
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
