"""Formulas of results: every number of a result dataclass is annotated with its formula."""

from dataclasses import dataclass
from typing import get_type_hints


@dataclass(frozen=True, slots=True)
class Formula:
    """The definition of a number or share, which tables print as a note."""

    text: str


def formulas(result: type) -> dict[str, str]:
    """Return the formulas of a result dataclass by field name, in the order of its fields."""
    return {
        name: note.text
        for name, hint in get_type_hints(result, include_extras=True).items()
        for note in getattr(hint, "__metadata__", ())
        if isinstance(note, Formula)
    }


def share(part: int, whole: int) -> float | None:
    """Return part / whole in [0, 1], or None if the denominator is 0."""
    return part / whole if whole else None
