"""Installation of a timer: checks the job, writes the files, and enables the units in systemd."""

import grp
import os
import pwd
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from liveness.census.timers.job import InstalledFile, Job
from liveness.config.model import Config
from liveness.errors import LivenessError, UsageError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory


def job_of(config: Config, config_file: Path, user: str | None, *, by_cron: bool) -> Job:
    """Return the job that a timer starts. Raises UsageError for a user or an output directory that it cannot have."""
    if by_cron and user is None:
        raise UsageError("--timer cron needs --user: a census does not run as root")
    if user is not None and (user in ("root", "0") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", user)):
        raise UsageError(f"--user {user!r}: expected the name of a user other than root")
    output = Path(config.output)
    if user is None and output.is_absolute():
        raise UsageError(
            f"{config_file}: $.output: {config.output!r}: a user that systemd makes up writes only below"
            " its own directory in /var/lib: make it relative, or give --user"
        )
    script = Path(sys.executable).with_name("liveness")
    program = (str(script),) if script.is_file() else (sys.executable, "-m", "liveness")
    folder = Path.cwd()
    directory = output.absolute() / config.name
    return Job(
        config.name,
        program,
        config_file.absolute(),
        user,
        _group_of(user),
        folder,
        directory,
        goes_on=config.max_runtime_s is None,
    )


def followed_by(job: Job, output: Path, name: str, config_file: Path, *, limited: bool) -> Job:
    """Return the job with a survey after the census: it writes the directory `output`/`name` too.

    `config_file` says so, and a `limited` one limits the survey's duration. UsageError for a directory that its user
    cannot write.
    """
    if job.user is None and output.is_absolute():
        raise UsageError(
            f"{config_file}: $.output: {str(output)!r}: a user that systemd makes up writes only below its own"
            " directory in /var/lib: make it relative, or give --user"
        )
    written = (*job.also_written, output.absolute() / name)
    return replace(job, also_written=written, goes_on=job.goes_on and not limited, followed=True)


def check_installing(user: str | None, folder: Path | None) -> None:
    """Raise UsageError for a directory that does not exist, or for a user who does not exist on this machine."""
    if folder is not None and not folder.is_dir():
        raise UsageError(
            f"--dir {folder}: {'not a directory' if folder.exists() else 'no such directory'}: make it first"
        )
    if user is not None and folder is None:
        try:
            pwd.getpwnam(user)
        except KeyError:
            raise UsageError(
                f"--user {user}: no such user on this machine: useradd --system {user}, or write the files for another"
                " machine with --dir"
            ) from None


def watched(job: Job, status_file: Path | None, metrics_file: Path | None, metrics_address: str | None) -> Job:
    """Return the job with options that publish its scans' state. Raises UsageError if its user cannot write a file."""
    files = {"--status-file": status_file, "--metrics-file": metrics_file}
    given = {option: path.absolute() for option, path in files.items() if path is not None}
    if given and job.user is None:
        raise UsageError(f"{next(iter(given))}: a user that systemd makes up cannot write there: give --user")
    words = [word for option, path in given.items() for word in (option, str(path))]
    if metrics_address is not None:
        words += ["--metrics-address", metrics_address]
    return replace(job, watching=tuple(words), watched=tuple(path.parent for path in given.values()))


def _group_of(user: str | None) -> str | None:
    """Return the name of a user's group; for an unknown user the usual one, a group of the same name."""
    if user is None:
        return None
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user


def hidden_from_others(path: Path) -> Path | None:
    """Return the first part of a path that other users may not read or pass through, or None if they may."""
    for part in (path, *path.parents):
        try:
            mode = part.stat().st_mode
        except OSError:
            return part
        needed = stat.S_IXOTH if part.is_dir() else stat.S_IROTH
        if not mode & needed:
            return part
    return None


def install_files(files: Sequence[InstalledFile], folder: Path) -> list[Path]:
    """Write the files to a directory and return their paths. Raises LivenessError that names a file that failed."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such directory: give another --dir")
    paths = [folder / file.name for file in files]
    for path, file in zip(paths, files, strict=True):
        write_atomically(path, file.text.encode(), mode=0o644)
    return paths


def prepare_output(job: Job) -> None:
    """Create the directories of the census and give them to its user: a hardened service may write nowhere else.

    Only directories of root change their owner, and no link of another user is followed: otherwise a user who can write
    to the parent directory could take over any directory of this machine.
    """
    for directory in (job.output, *job.also_written):
        try:
            with Directory.make(directory) as folder:
                if job.user is None or os.geteuid() != 0:
                    continue
                uid, (owner, group) = pwd.getpwnam(job.user).pw_uid, folder.owner()
                if owner not in (0, uid):
                    raise LivenessError(f"{directory}: is of user {owner}, not {job.user}: chown it, or name another")
                folder.chown_only_this(uid, group)
        except (OSError, LookupError) as problem:
            raise LivenessError(f"{directory}: cannot be made for user {job.user}: {problem}") from problem


def enabling(files: Sequence[InstalledFile]) -> list[list[str]]:
    """Return the commands that enable the installed units in systemd."""
    timers = [file.name for file in files if file.name.endswith(".timer")]
    at_boot = [file.name for file in files if file.name.endswith("-boot.service")]
    return [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--now", *timers],
        ["systemctl", "enable", *at_boot],
    ]


def enable(commands: Sequence[Sequence[str]]) -> None:
    """Run commands one after the other. Raises LivenessError that names the first one that fails."""
    for words in commands:
        try:
            code = subprocess.run(words, check=False).returncode
        except OSError as problem:
            raise LivenessError(f"{' '.join(words)}: cannot be run: {problem.strerror}") from problem
        if code:
            raise LivenessError(f"{' '.join(words)}: exit code {code}")
