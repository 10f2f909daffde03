"""The record of opt-outs of a run: targets withdrawn while it ran, and data removed afterwards."""

from pathlib import Path

import msgspec
from msgspec import Struct, field

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_below
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines

OPT_OUTS_FILE = "opt-outs.json"


class Withdrawal(Struct, frozen=True, kw_only=True):
    """Targets that were blocked while the run went on: nothing was sent to them from then on."""

    at: str
    """When it reached the senders; UTC."""
    after_s: float
    """The same in seconds since the session began."""
    addresses: int
    """Targets of this run that were withdrawn, those of earlier withdrawals left out."""
    lists: list[str]
    """The blocklists, as they were then."""


class ListProblem(Struct, frozen=True, kw_only=True):
    """A blocklist that could not be read while the run went on: the one before it stayed in force."""

    at: str
    problem: str


class Change(Struct, frozen=True, kw_only=True):
    """A file of a run whose data of opted-out addresses were removed: its entries before and after."""

    file: str
    before: int
    after: int


class Application(Struct, frozen=True, kw_only=True):
    """A removal of opted-out addresses from a run's data: when, by which lists, what changed."""

    at: str
    lists: list[str]
    sha256: list[str]
    """Of each list's bytes, in the same order."""
    blocked: int
    """Addresses that the lists block, whether the run has data about them or not."""
    targets: int = 0
    """Targets of the run among them that had not opted out before."""
    sets: list[Change] = field(default_factory=list)
    logs: list[Change] = field(default_factory=list)
    segments: list[Change] = field(default_factory=list)


class OptOuts(Struct, frozen=True, kw_only=True):
    """Everything about opt-outs in a run's manifest."""

    targets: int = 0
    """Targets of the run that have opted out by now: the manifest's `targets` are the others."""
    withdrawals: list[Withdrawal] = field(default_factory=list)
    list_problems: list[ListProblem] = field(default_factory=list)
    applied: list[Application] = field(default_factory=list)


class KeptOptOuts(Struct, frozen=True, kw_only=True):
    """The file that a run keeps from its first withdrawal on, so that it can be resumed."""

    opt_outs: OptOuts = OptOuts()
    prefixes: list[str] = field(default_factory=list)
    """All that was withdrawn, as entries of an address list: addresses, prefixes and ranges."""
    removed: list[str] = field(default_factory=list)
    """All addresses whose data was removed from the run, targets or not, as such entries."""

    @property
    def withdrawn(self) -> Intervals:
        """All that was withdrawn."""
        return parse_lines(self.prefixes, OPT_OUTS_FILE)

    @property
    def without_data(self) -> Intervals:
        """All addresses whose data was removed; of a run redacted by an older version, all that was withdrawn."""
        return parse_lines(self.removed or (self.prefixes if self.opt_outs.applied else ()), OPT_OUTS_FILE)


def write_opt_outs(directory: Path, kept: KeptOptOuts) -> None:
    """Replace a run's record of opt-outs by rename. Raises LivenessError that names the file."""
    content = msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n"
    write_atomically(directory / OPT_OUTS_FILE, content)


def load_opt_outs(
    directory: Path, why: str = "damaged, what was withdrawn is taken from the blocklists"
) -> KeptOptOuts:
    """Return a run's record of opt-outs, an empty one if it has none.

    Raises LivenessError for one that is damaged; `why` says so, and what follows from it.
    """
    path = directory / OPT_OUTS_FILE
    try:
        with Directory.open(directory) as files:
            content = read_below(files, OPT_OUTS_FILE)
    except FileNotFoundError:
        return KeptOptOuts()
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read what was withdrawn: {problem.strerror}") from problem
    kept = decoded(content, KeptOptOuts, path, why)
    try:
        parse_lines([*kept.prefixes, *kept.removed], str(path))
    except LivenessError as problem:
        raise LivenessError(f"{path}: {why}: {problem}") from problem
    return kept
