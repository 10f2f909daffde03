"""Messages about parts of flow files that are damaged or could not be decoded."""

from collections.abc import Mapping, Sequence

from liveness import log


def report_undecoded(undecoded: Mapping[str, int]) -> None:
    """Warn of records that could not be decoded, by reason."""
    for reason, count in sorted(undecoded.items()):
        log.warning(f"not decoded: {count:,} {reason}")


def report_damage(damage: Sequence[str]) -> None:
    """Warn of all damage but the last, which is the error with which the command ends."""
    for line in damage[:-1]:
        log.warning(line)
