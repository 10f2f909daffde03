"""What the messages of censuses, surveys and passive runs have in common."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct

from liveness.errors import LivenessError, explain

MOST_LISTED: Final = 1_000
"""Most places that a message lists; its counts are of all."""
NAMED: Final = 3
"""Most places that a summary names."""


class MessageOf(Struct, frozen=True, kw_only=True):
    """A message of one instrument.

    Subclasses have the fields `events`, `run`, `summary`, `exit_code` and `directory`, and one with the name of the
    instrument, which holds the name of the census, survey or config.
    """

    instrument: ClassVar[str]

    @property
    def variables(self) -> dict[str, str]:
        """What the command of a notification finds in its environment, such as ``CENSUS_RUN``."""
        values = {
            "EVENTS": " ".join(getattr(self, "events")),  # noqa: B009 - a field of every subclass
            "NAME": getattr(self, self.instrument),
            **{name: getattr(self, name.lower()) for name in ("RUN", "SUMMARY", "EXIT_CODE", "DIRECTORY")},
        }
        return {
            f"{self.instrument.upper()}_{name}": "" if value is None else str(value) for name, value in values.items()
        }

    def encoded(self) -> bytes:
        """Return the message as one JSON document."""
        return msgspec.json.encode(self)

    def document(self) -> dict[str, Any]:
        """Return the message as plain values."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def failure_of(error: Exception) -> tuple[str, int]:
    """Return what a message says of an error, also of a bug, whose traceback may not be seen; and its exit code."""
    return explain(error), error.exit_code if isinstance(error, LivenessError) else LivenessError.exit_code


def first_of(names: Sequence[str]) -> str:
    """Return the first of some names in words, such as "192.0.2.0/24, 198.51.100.0/24 and 2 more"."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
