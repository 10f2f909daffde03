"""Systemd units for a census: a hardened service, its timer, and a service that resumes an unfinished run at boot."""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from liveness.census.timers.calendar import calendar_of
from liveness.census.timers.job import CAPABILITIES, InstalledFile, Job

MAX_USER_CHARS: Final = 31
DIGEST_CHARS: Final = 8
GO_ON: Final = """\
# a run that ended early (exit code 5: no link, no gateway, known losses) or was killed is resumed
Restart=on-failure
RestartPreventExitStatus=1 2 3 4 130 143
RestartSec=15min
"""
HAND_ON: Final = """\
# what ended early or was killed is resumed by the unit in OnFailure=: this one would take the next census
SuccessExitStatus=130 143"""
PLAIN: Final = re.compile(r"[A-Za-z0-9_@/.:=,+-]+")

HARDENING: Final = """\
# no root: raw sockets by two capabilities, and nothing that could bring more
AmbientCapabilities={capabilities}
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes
UMask=0077
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX AF_XDP
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @reboot @swap
# kernels are compiled as they are first called: MemoryDenyWriteExecute= would forbid that
"""


def units(job: Job, schedule: str) -> list[InstalledFile]:
    """Return the units: the service, the timer, and the service that starts at boot."""
    boot = f"{job.label}-boot"  # never the label of another census: see `escaped`
    hands_on = job.followed and job.goes_on
    timer = f"""\
[Unit]
Description=Timer of the census {_value(job.name)}

[Timer]
OnCalendar={calendar_of(schedule)}
RandomizedDelaySec=10min
Persistent=yes

[Install]
WantedBy=timers.target
"""
    return [
        InstalledFile(
            f"{job.label}.service",
            _service(
                job,
                f"Census {job.name}",
                job.command(),
                f"After={boot}.service" + (f"\nOnFailure={boot}.service" if hands_on else ""),
                HAND_ON if hands_on else "",
                restarts=job.goes_on and not job.followed,
            ),
        ),
        InstalledFile(f"{job.label}.timer", timer),
        InstalledFile(
            f"{boot}.service",
            _service(
                job,
                f"Census {job.name}, an unfinished run",
                job.command("--unfinished"),
                service="# one that runs already needs no help\nSuccessExitStatus=4",
                kind="exec" if job.followed else "oneshot",  # a survey of weeks must not keep the boot from its end
                restarts=job.goes_on,
            )
            + "\n[Install]\nWantedBy=multi-user.target\n",
        ),
    ]


def _service(
    job: Job,
    description: str,
    command: Sequence[str],
    unit: str = "",
    service: str = "",
    *,
    kind: str = "oneshot",
    restarts: bool,
) -> str:
    """Return a service that runs a command once, and again after a failure if it `restarts`."""
    more = "".join(f"{line}\n" for line in (service,) if line)
    return (
        f"[Unit]\nDescription={_value(description)}\nWants=network-online.target\nAfter=network-online.target\n"
        + (f"{unit}\n" if unit else "")
        + f"\n[Service]\nType={kind}\nExecStart={' '.join(map(_word, command))}\n"
        + _owner(job)
        + f"CacheDirectory={job.label}\nEnvironment=XDG_CACHE_HOME=%C/{job.label}\n"
        + "# a stopped run writes what it has\nKillMode=mixed\nTimeoutStopSec=10min\n"
        + f"LimitMEMLOCK=infinity\n{more}"
        + (GO_ON if restarts else "")
        + HARDENING.format(capabilities=" ".join(CAPABILITIES))
    )


def _owner(job: Job) -> str:
    """Return the lines that set the user of the service, and the directories that it may write."""
    if job.user is None:
        made_up = _user_of(job.label)  # the same user for both services, because they write the same files
        return (
            f"DynamicUser=yes\nUser={made_up}\nStateDirectory={job.label}\nStateDirectoryMode=0700\n"
            f"WorkingDirectory=%S/{job.label}\n"
        )
    written = " ".join(_word(str(path)) for path in dict.fromkeys((job.output, *job.also_written, *job.watched)))
    return f"User={_value(job.user)}\nWorkingDirectory={_value(str(job.folder))}\nReadWritePaths={written}\n"


def _user_of(label: str) -> str:
    """Return a valid user name; a long label is shortened and gets a digest, so that censuses do not share a user."""
    if len(label) <= MAX_USER_CHARS:
        return label
    digest = hashlib.sha256(label.encode()).hexdigest()[:DIGEST_CHARS]
    return f"{label[: MAX_USER_CHARS - DIGEST_CHARS - 1]}-{digest}"


def _value(text: str) -> str:
    """Return text as the value of an assignment, with % doubled."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """Return a word of a command line (systemd.service, "Command lines"), quoted, with $ and % doubled."""
    if PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$").replace("%", "%%")
    return f'"{escaped}"'
