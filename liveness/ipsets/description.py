"""Format, size and extent of a set file."""

from dataclasses import dataclass

from liveness.ipsets.files import SetFile
from liveness.ipsets.runs import touched
from liveness.space.addresses import format_address


@dataclass(frozen=True, slots=True)
class SetDescription:
    """What `liveness sets info` shows of a file; its fields are those of the JSON document."""

    file: str
    format: str
    bytes: int
    addresses: int
    prefixes24: int
    min: str | None
    """The first address; None for an empty set."""
    max: str | None


def described(found: SetFile) -> SetDescription:
    """Return the description of a set."""
    held = found.addresses
    return SetDescription(
        file=found.path,
        format=found.format,
        bytes=found.size_bytes,
        addresses=len(held),
        prefixes24=touched(held, 24),
        min=format_address(held.min()) if held else None,
        max=format_address(held.max()) if held else None,
    )
