"""Owns whose the files of a census are: those of the user that its scans become, who does all that follows them."""

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
class Heir:
    """Whom this process becomes with its scan, None for the same user; `made` are folders that will be made for it."""

    user: User | None
    made: tuple[Path, ...]
    group: int | None = None
    """Who else may read the census: see `share` in a config."""

    @classmethod
    def of(cls, home: Home, config: Config) -> "Heir":
        """Return the heir of a census whose directory need not exist. Raises what `user_to_become` does."""
        made = []
        above = home.path.absolute()
        while not above.exists():
            made.append(above)
            above = above.parent
        user, _ = user_to_become(config.user, above)
        return cls(user, tuple(made), group_of(config))

    def give(self, home: Home) -> None:
        """Hand over what a census has beside its runs, before its scan becomes that user.

        Runs were handed over by their scans. Raises LivenessError that names the directory.
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
                    folder.give_alone(uid, gid)
            with home.files() as directory:
                directory.give_file(LOCK_FILE, uid, gid)
                if directory.status(REPORTS) is not None:
                    with directory.directory(REPORTS) as reports:
                        reports.give_to(uid, gid)
                directory.give_alone(uid, gid)
        except OSError as error:
            raise LivenessError(
                f"{home.path}: cannot hand this census over to {self.user.name}: {error.strerror}: set user: root"
            ) from error
