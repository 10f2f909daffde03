"""The privilege drop of a scan: the user that its processes change to once its sockets are open.

The user is decided before any file is made.
"""

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
from liveness.system.child import still_dying_with_parent
from liveness.system.privileges import Dropped, User, drop_privileges, user_to_become

PRIVATE_UMASK: Final = 0o077


@dataclass(frozen=True, slots=True)
class PrivilegeDrop:
    """The user to change to (None to keep this one), notes on it, and the directories to be made above the run's."""

    user: User | None
    notes: Sequence[str]
    made: Sequence[Path]
    group: int | None = None
    """Group that may read the run: see `share` in a config."""

    def now(self, directory: RunDirectory) -> Dropped:
        """Give the run directory to the user, change to that user and give up all capabilities. This is irrevocable.

        Raises UnsupportedError if the process cannot change to the user, and LivenessError if the owner of the
        directory cannot be changed.
        """
        if self.user is not None:
            try:
                for path in self.made:
                    with Directory.open(path) as folder:
                        folder.chown_only_this(self.user.uid, self.user.gid)
                with directory.files() as files:
                    files.give_to(self.user.uid, self.user.gid)
                with Directory.open(directory.path.parent) as census:  # a census needs it for reports and retention
                    census.give_to(self.user.uid, self.user.gid, files=False)
            except OSError as error:
                raise LivenessError(
                    f"{directory.path}: cannot hand this run over to {self.user.name}: {error.strerror}: set user: root"
                ) from error
        self._share(directory)
        with still_dying_with_parent():
            dropped = drop_privileges(self.user)
        if self.user is not None:
            leave_cache()
        return Dropped(dropped.user, dropped.uid, (*self.notes, *dropped.notes))

    def _share(self, directory: RunDirectory) -> None:
        """Give the group read access to the run and to the directories above it that were made for it."""
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
    """Return the umask for all files of a census."""
    return SHARED_UMASK if config.share.group else PRIVATE_UMASK


def group_of(config: Config) -> int | None:
    """Return the id of the group that a census is shared with, or None. Raises UsageError for an unknown group."""
    name = config.share.group
    if not name:
        return None
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(f"share.group: {name!r}: no such group: groupadd {name}") from None


def decide(config: Config, directory: Path) -> PrivilegeDrop:
    """Return the privilege drop of a scan into `directory`, which need not exist yet, and set the umask.

    The library of the log of replies is loaded here, because the other user may not be able to read its files. Raises
    the errors of `user_to_become` and `group_of`.
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
