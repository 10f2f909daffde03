"""The mix of a selection: which share of the /24s each policy draws."""

from typing import Final

from liveness.errors import UsageError
from liveness.space.addresses import shown

POLICIES: Final = ("random", "spaced", "novel")
DEFAULT_MIX: Final = "random=.25,spaced=.25,novel=.5"
MIX_SLACK: Final = 1e-6


def parse_mix(text: str) -> dict[str, float]:
    """Return the shares of a mix such as ``random=.25,spaced=.25,novel=.5``. UsageError names what is wrong."""
    shares = dict.fromkeys(POLICIES, 0.0)
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip() not in shares:
            raise UsageError(f"--mix {shown(text)}: {shown(name.strip())} is none of {', '.join(POLICIES)}")
        try:
            shares[name.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--mix {shown(text)}: {shown(value)} is not a number") from None
    if not all(0 <= share <= 1 for share in shares.values()) or abs(sum(shares.values()) - 1) > MIX_SLACK:
        raise UsageError(f"--mix {shown(text)}: shares are between 0 and 1, and add up to 1")
    return shares


def apportioned(count: int, shares: dict[str, float]) -> dict[str, int]:
    """Return how many of `count` each share gets, rounded by largest remainders; equal ones in the order given."""
    exact = {name: count * share for name, share in shares.items()}
    whole = {name: int(value + MIX_SLACK) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: count - sum(whole.values())]:
        whole[name] += 1
    return whole
