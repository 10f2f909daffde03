"""Publishing of opt-outs while a fleet's run goes on: for scans at work, and for what is stored of the run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from liveness.errors import LivenessError, UsageError
from liveness.fleet import opt_outs
from liveness.fleet.plan import Plan
from liveness.fleet.store import Store, StoreError

NOT_REMOVED: Final = "opted-out data is not removed there: `liveness fleet blocklist` tries again"


@dataclass(slots=True)
class Publishing:
    """The blocklists of a config as they were published last. `note` and `warn` are called with lines."""

    lists: Sequence[str]
    """The entries of `targets.block` and `targets.opt_outs`."""
    store: Store
    plan: Plan
    note: Callable[[str], None]
    warn: Callable[[str], None]
    _published: bytes = field(default=b"", init=False)
    _problem: str = field(default="", init=False)
    """What kept the blocklists from being published, at the last look."""

    def publish(self) -> None:
        """Publish the blocklists if they have changed, and apply them to what is stored of this run."""
        try:
            text = opt_outs.text_of(self.lists)
        except UsageError as error:
            self._warn_once(f"{error}: what was published before stays in force")
            return
        if text == self._published:
            return
        try:
            new = opt_outs.publish(self.store, self.plan.census, text, self.warn)
        except LivenessError as error:
            self._warn_once(f"{error}: the blocklists are published when that works")
            return
        if new and self._published:
            self.note("blocklists published: scans at work withdraw what is new within 10 s")
        try:
            problems = opt_outs.apply_to_stored(self.store, self.plan, self.note)
        except LivenessError as error:
            self._warn_once(f"{error}: it is tried again")
            return
        if any(isinstance(problem, StoreError) for problem in problems):
            self._warn_once(f"{united(problems)}: it is tried again")
            return
        if problems:
            self._warn_once(f"{united(problems)}: {NOT_REMOVED}")
        else:
            self._problem = ""
        self._published = text

    def _warn_once(self, problem: str) -> None:
        """Warn of a problem with the blocklists, unless it was the last one: they are looked at all the time."""
        if problem != self._problem:
            self.warn(problem)
        self._problem = problem


def united(problems: Sequence[LivenessError]) -> str:
    """Return the texts of several errors in one line, each once."""
    return "; ".join(dict.fromkeys(map(str, problems)))
