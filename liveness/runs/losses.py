"""Known losses of a run: when and why, and which stretches of the order of targets they concern."""

from msgspec import Struct, field


class LossRecord(Struct, frozen=True, kw_only=True):
    """One loss that a run noticed: from when to when, in seconds since the run's start, why, and how much.

    `probes` counts the frames that did not reach the targets; `targets` those that some of these frames were for.
    """

    from_s: float
    to_s: float
    cause: str
    probes: int
    targets: int


class LostSpan(Struct, frozen=True, kw_only=True):
    """A stretch of one sender's walk through one block, ticks `first` to `last` - 1, in which probes were lost.

    A tick and the lags of the lanes determine the target of each probe, so a span is repaired by walking it again.
    """

    sender: int
    block: int
    first: int
    last: int
    lags: list[int]
    """Of each lane, in ticks."""
    begins: list[int]
    """The tick at which each lane begins, or resumes after a pause."""
    share: float = 1.0
    """The share of the probes in these ticks that was lost."""
    margin: int = 0
    """Ticks before and after that may be concerned as well: they are sent again, and not counted as lost."""
    edge: int = 0
    """Ticks by which its ends are uncertain: within them, the ends of a loss that overlaps it are the better ones."""
    lowest: int = 0
    """Only targets from this address on are concerned,"""
    highest: int = 0xFFFFFFFF
    """and only up to this one."""
    tries: int = 0
    """How often it was repaired and lost again."""

    @property
    def selective(self) -> bool:
        """Whether only some targets are concerned."""
        return (self.lowest, self.highest) != (0, 0xFFFFFFFF)

    def overlaps(self, other: "LostSpan") -> bool:
        """Return whether another span is of the same walk, with the same lags and bounds, and touches this one."""
        return (
            (self.sender, self.block) == (other.sender, other.block)
            and (self.lowest, self.highest) == (other.lowest, other.highest)
            and (self.lags, self.begins) == (other.lags, other.begins)
            and self.first <= other.last
            and other.first <= self.last
        )


class Losses(Struct, frozen=True, kw_only=True):
    """All known losses of a run, and the spans that have not been repaired."""

    records: list[LossRecord] = field(default_factory=list)
    pending: list[LostSpan] = field(default_factory=list)
