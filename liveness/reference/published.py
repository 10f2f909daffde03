"""The form of a published value: a number or a range, what it is of, and where it was published."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "addresses", "/24s", "seconds", "words"]


@dataclass(frozen=True, slots=True)
class Published:
    """One published value: `low` and `high` are equal for a single number, `high` is None for "more than `low`".

    A statement that gives no number has the unit ``words``.
    """

    id: str
    low: float | None
    high: float | None
    unit: Unit
    of: str
    """What a share is of, or what a number counts."""
    where: str
    """The figure or section, or the file of data."""
    words: str
    """The value as a table prints it."""

    @property
    def value(self) -> float:
        """The single number. Raises ValueError for a range and for words."""
        if self.low is None or self.low != self.high:
            raise ValueError(f"{self.id} is {self.words}, which is not a single number")
        return self.low

    @property
    def range(self) -> tuple[float, float | None]:
        """The lowest and the highest number. Raises ValueError for words."""
        if self.low is None:
            raise ValueError(f"{self.id} is {self.words}, which is not a number")
        return self.low, self.high
