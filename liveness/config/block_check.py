"""Whether prefixes are blocked, and by which requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from liveness.config.blocklists import covering, intervals_of
from liveness.config.requests import Entry
from liveness.errors import one_line
from liveness.space.special import special_prefix


@dataclass(frozen=True, slots=True)
class BlockCheck:
    """A prefix, how many of its addresses are blocked, and the requests that block any of them."""

    prefix: Entry
    blocked: int
    special_purpose: str | None
    """The special-purpose prefix that it begins in, which is never probed."""
    by: Sequence[Entry]

    @property
    def is_whole(self) -> bool:
        """Whether all of it is blocked."""
        return self.blocked == self.prefix.addresses

    def document(self) -> dict[str, object]:
        """Return the check for the JSON document."""
        return {
            "prefix": self.prefix.text,
            "addresses": self.prefix.addresses,
            "blocked": self.blocked,
            "special_purpose": self.special_purpose,
            "by": [entry.document() for entry in self.by],
        }

    def lines(self) -> Iterator[str]:
        """Yield the result, and a line for each request."""
        part = (
            "blocked" if self.is_whole else f"blocked in part, {self.blocked:,} of {self.prefix.addresses:,} addresses"
        )
        special = f"; special-purpose ({self.special_purpose}), never probed" if self.special_purpose else ""
        yield f"{self.prefix.text}: {part if self.by else 'not blocked'}{special}"
        for entry in self.by:
            yield f"  {entry.place}: {entry.text}{comment_of(entry)}"


def check_prefixes(prefixes: Sequence[Entry], entries: Sequence[Entry]) -> list[BlockCheck]:
    """Compare prefixes with the requests in force."""
    blocked = intervals_of(entries)
    found = []
    for prefix in prefixes:
        below, above = blocked.rank([prefix.first, prefix.last + 1])
        special = special_prefix(prefix.first)
        found.append(
            BlockCheck(
                prefix,
                int(above - below),
                None if special is None else str(special.prefix),
                covering(entries, prefix.first, prefix.last),
            )
        )
    return found


def comment_of(entry: Entry) -> str:
    """Return the comment of a request as lists show it, empty if there is none."""
    return f"  # {one_line(entry.comment)}" if entry.comment else ""
