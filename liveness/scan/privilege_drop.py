"""Privilege drop: which user a scan's processes become once its sockets are open, decided before a file is made."""

import grp
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.config.model import Config
from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.files.sharing import SHARED_UMASK, share
from liveness.kernel import leave_cache
from liveness.replylog import runlog
from liveness.runs.rundir import RunDirectory
from liveness.system.privileges import Dropped, User, drop_privileges, user_to_become

PRIVATE_UMASK: Final = 0o077


@dataclass(frozen=True, slots=True)
class PrivilegeDrop:
    """Whom to become, None for the same user, and why; and what folders above the run's will have been made for it."""

    user: User | None
    notes: Sequence[str]
    made: Sequence[Path]
    group: int | None = None
    """Who else may read the run: see `share` in a config."""

    def now(self, directory: RunDirectory) -> Dropped:
        """Hand a run's directory over and become its owner for good, without capabilities.

        Raises UnsupportedError if that user cannot be become, LivenessError if the directory cannot be handed over.
        """
        if self.user is not None:
            try:
                for path in self.made:
                    with Directory.open(path) as folder:
                        folder.give_alone(self.user.uid, self.user.gid)
                with directory.files() as files:
                    files.give_to(self.user.uid, self.user.gid)
                with Directory.open(directory.path.parent) as census:  # a census goes on there: reports, retention
                    census.give_to(self.user.uid, self.user.gid, files=False)
            except OSError as error:
                raise LivenessError(
                    f"{directory.path}: cannot hand this run over to {self.user.name}: {error.strerror}: set user: root"
                ) from error
        self._share(directory)
        dropped = drop_privileges(self.user)
        if self.user is not None:
            leave_cache()
        return Dropped(dropped.user, dropped.uid, (*self.notes, *dropped.notes))

    def _share(self, directory: RunDirectory) -> None:
        """Let the group read the run and the directories above it that were made for it."""
        if self.group is None:
            return
        try:
            for path in dict.fromkeys([*self.made, directory.path.parent]):
                with Directory.open(path) as folder:
                    share(folder, self.group, inside=False)
            with directory.files() as files:
                share(files, self.group)
        except OSError as error:
            raise LivenessError(
                f"{directory.path}: cannot share this run with the group {self.group}: {error.strerror}: become a"
                " member of it, or leave share.group out"
            ) from error


def private_umask(config: Config) -> int:
    """Return the umask of all that writes files of a census."""
    return SHARED_UMASK if config.share.group else PRIVATE_UMASK


def group_of(config: Config) -> int | None:
    """Return the number of the group that a census is shared with, None if there is none. Raises UsageError."""
    name = config.share.group
    if not name:
        return None
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(f"share.group: {name!r}: no such group: groupadd {name}") from None


def decide(config: Config, directory: Path) -> PrivilegeDrop:
    """Return whom a scan into `directory`, which need not exist yet, is to become; files are private from now on.

    What is only found in files, and will be needed later, is loaded here: another user may not be able to read it.
    Raises what `user_to_become` does.
    """
    os.umask(private_umask(config))
    group = group_of(config)
    if config.replies != "none":
        runlog.load(config.replies)
    made = []
    above = directory.absolute().parent
    while not above.exists():
        made.append(above)
        above = above.parent
    user, notes = user_to_become(config.user, above)
    return PrivilegeDrop(user, notes, made, group)
