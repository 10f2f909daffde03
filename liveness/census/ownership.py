"""Owner of the files of a census: the user to whom its scans drop their privileges."""

from dataclasses import dataclass
from pathlib import Path

from liveness.census.home import LOCK_FILE, REPORTS, Home
from liveness.config.model import Config
from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.files.sharing import share
from liveness.scan.privilege_drop import group_of
from liveness.system.privileges import User, user_to_become


@dataclass(frozen=True, slots=True)
class CensusOwner:
    """User to whom a scan drops its privileges, or None if it stays the same; `made` are directories to be created."""

    user: User | None
    made: tuple[Path, ...]
    group: int | None = None
    """Group that may read the census: see `share` in the config."""

    @classmethod
    def of(cls, home: Home, config: Config) -> "CensusOwner":
        """Return the owner for a census whose directory need not exist. Raises the errors of `user_to_become`."""
        made = []
        above = home.path.absolute()
        while not above.exists():
            made.append(above)
            above = above.parent
        user, _ = user_to_become(config.user, above)
        return cls(user, tuple(made), group_of(config))

    def give(self, home: Home) -> None:
        """Give the files of a census, except its runs, to the owner. Called before the scan drops its privileges.

        Scans give away their runs themselves. Raises LivenessError that names the directory.
        """
        self._give(home)
        if self.group is None:
            return
        try:
            for path in self.made:
                with Directory.open(path) as folder:
                    share(folder, self.group, inside=False)
            with home.files() as directory:
                share(directory, self.group, inside=False)
                if directory.status(REPORTS) is not None:
                    with directory.directory(REPORTS) as reports:
                        share(reports, self.group)
        except OSError as error:
            raise LivenessError(
                f"{home.path}: cannot share this census with the group {self.group}: {error.strerror}: become a member"
                " of it, or leave share.group out"
            ) from error

    def _give(self, home: Home) -> None:
        if self.user is None:
            return
        uid, gid = self.user.uid, self.user.gid
        try:
            for path in self.made:
                with Directory.open(path) as folder:
                    folder.chown_only_this(uid, gid)
            with home.files() as directory:
                directory.give_file(LOCK_FILE, uid, gid)
                if directory.status(REPORTS) is not None:
                    with directory.directory(REPORTS) as reports:
                        reports.give_to(uid, gid)
                directory.chown_only_this(uid, gid)
        except OSError as error:
            raise LivenessError(
                f"{home.path}: cannot hand this census over to {self.user.name}: {error.strerror}: set user: root"
            ) from error
