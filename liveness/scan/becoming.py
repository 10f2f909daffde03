"""Becoming: whom a scan's processes turn into once its sockets are open, decided before anything is made on disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.config.model import Config
from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.kernel import leave_cache
from liveness.net.privileges import Dropped, User, drop_privileges, user_to_become
from liveness.store import runlog
from liveness.store.rundir import RunDirectory

PRIVATE_UMASK: Final = 0o077


@dataclass(frozen=True, slots=True)
class Becoming:
    """Whom to become, None for the same user, and why; and what folders above the run's will have been made for it."""

    user: User | None
    notes: Sequence[str]
    made: Sequence[Path]

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
        dropped = drop_privileges(self.user)
        if self.user is not None:
            leave_cache()
        return Dropped(dropped.user, dropped.uid, (*self.notes, *dropped.notes))


def decide(config: Config, directory: Path) -> Becoming:
    """Return whom a scan into `directory`, which need not exist yet, is to become; files are private from now on.

    What is only found in files, and will be needed later, is loaded here: another user may not be able to read it.
    Raises what `user_to_become` does.
    """
    os.umask(PRIVATE_UMASK)
    if config.replies != "none":
        runlog.load(config.replies)
    made = []
    above = directory.absolute().parent
    while not above.exists():
        made.append(above)
        above = above.parent
    user, notes = user_to_become(config.user, above)
    return Becoming(user, notes, made)
