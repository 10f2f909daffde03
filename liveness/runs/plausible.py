"""Checks of what a manifest says: counts, names of probes and replies, times and addresses.

The right types are not enough: a negative count would make a share above one, and an unknown probe has no family.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from liveness.probes.registry import is_probe
from liveness.replies import ERROR_TYPES, Kind
from liveness.space.addresses import parse_address

if TYPE_CHECKING:
    from liveness.runs.manifest import Manifest

MOST: Final = (1 << 63) - 1
ADDRESSES: Final = 1 << 32
MAX_PORT: Final = 65_535
MAX_ICMP_CODE: Final = 255
ATTEMPTS: Final = re.compile(r"[01]{1,32}")

Problem = tuple[str, object, str]
"""A path in a document, the value there, and what was expected."""


def is_label(label: str) -> bool:
    """Return whether this is the label of a class of replies, such as ``rst`` or ``error-3-13``."""
    name, *numbers = label.split("-") if label.startswith("error") else [label]
    if not numbers:
        return any(label == kind.label for kind in Kind if kind is not Kind.ERROR)
    if name != "error" or len(numbers) != 2 or not all(n.isascii() and n.isdecimal() for n in numbers):  # noqa: PLR2004 - type and code
        return False
    return len(label) <= len("error-11-255") and int(numbers[0]) in ERROR_TYPES and int(numbers[1]) <= MAX_ICMP_CODE


def is_pattern(digits: str) -> bool:
    """Return whether this is a pattern of answered attempts: a digit an attempt."""
    return ATTEMPTS.fullmatch(digits) is not None


PATTERN_EXPECTED: Final = "expected a digit an attempt, 0 or 1"
BY_PROBE: Final = (
    "probes",
    "messages",
    "weak",
    "attempts",
    "attempts_by_kind",
    "recovered_by_retransmit",
    "missed",
    "duplicates",
)
"""The fields of a manifest whose keys are probes."""
BY_PROBE_AND_NAME: Final = (
    ("messages", is_label, "no class of replies"),
    ("weak", is_label, "no class of replies"),
    ("duplicates", is_label, "no class of replies"),
    ("attempts", is_pattern, PATTERN_EXPECTED),
)
"""Fields with further names below the probes: the check of these names, and what a message says was expected."""


def odd_numbers(tree: object) -> Iterator[Problem]:
    """Yield the integers of a document that are no counts: negative, or larger than 63 bits hold."""
    left: list[tuple[str, object]] = [("$", tree)]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{path}.{name}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [(f"{path}[{at}]", inner) for at, inner in enumerate(value)]
        elif isinstance(value, int) and not 0 <= value <= MOST:
            yield path, value, f"expected a number from 0 to {MOST}"


def problems_of(manifest: "Manifest") -> Iterator[Problem]:
    """Yield the values of a manifest that cannot be, in the order of its fields."""
    yield from _times(manifest)
    if manifest.targets > ADDRESSES:
        yield "$.targets", manifest.targets, f"expected at most {ADDRESSES:,}, as many as there are addresses"
    yield from _names(manifest)
    yield from _patterns(manifest)
    if manifest.control_port is not None and manifest.control_port > MAX_PORT:
        yield "$.control_port", manifest.control_port, f"expected a port up to {MAX_PORT:,}"
    sources = [(f"$.source_addresses[{at}]", text) for at, text in enumerate(manifest.source_addresses)]
    sources += [(f"$.busiest_sources[{at}].source", entry.source) for at, entry in enumerate(manifest.busiest_sources)]
    for path, text in sources:
        if not _parses(parse_address, text):
            yield path, text, "expected an IPv4 address"
    for at, block in enumerate(manifest.blocks):
        if not _parses(IPv4Network, block.block):
            yield f"$.blocks[{at}].block", block.block, "expected a prefix"
    yield from _intervals(manifest)


def _patterns(manifest: "Manifest") -> Iterator[Problem]:
    for probe, signs in manifest.attempts_by_kind.items():
        for sign, patterns in signs.items():
            path = f"$.attempts_by_kind.{probe}.{sign}"
            yield from ((path, name, PATTERN_EXPECTED) for name in patterns if not is_pattern(name))


def _intervals(manifest: "Manifest") -> Iterator[Problem]:
    columns = {len(getattr(manifest.timeline, name)) for name in manifest.timeline.__struct_fields__}
    if len(columns - {0}) > 1:  # a column that an older version did not write is empty
        yield "$.timeline", sorted(columns), "expected lists of one length"
    end_s = manifest.timeline.end_s
    if end_s != sorted(end_s) or (not end_s and columns != {0}):
        yield "$.timeline.end_s", end_s[:8], "expected the ends of all intervals, ascending"


def _times(manifest: "Manifest") -> Iterator[Problem]:
    times: list[tuple[str, str | None]] = [
        ("$.finished", manifest.finished),
        *((f"$.resumed[{at}]", text) for at, text in enumerate(manifest.resumed)),
    ]
    vantage, lag = manifest.vantage, manifest.lag
    if vantage and vantage.clock:
        times.append(("$.vantage.clock.checked", vantage.clock.checked))
    if lag.began:
        times.append(("$.lag.began", lag.began))
    times += [
        (f"$.blocks[{at}].start.agreed", block.start.agreed) for at, block in enumerate(manifest.blocks) if block.start
    ]
    for path, text in times:  # the start is checked where it is used
        if text is not None and not _parses(datetime.fromisoformat, text):
            yield path, text, "expected a time such as 2026-11-21T00:00:00Z"


def _names(manifest: "Manifest") -> Iterator[Problem]:
    for field in BY_PROBE:
        for probe in getattr(manifest, field):
            if not is_probe(probe):
                yield f"$.{field}", probe, "no probe that this version knows"
    for field, fits, expected in BY_PROBE_AND_NAME:
        for probe, names in getattr(manifest, field).items():
            yield from ((f"$.{field}.{probe}", name, expected) for name in names if not fits(name))
    for at, entry in enumerate(manifest.sets):
        if not is_probe(entry.probe):
            yield f"$.sets[{at}].probe", entry.probe, "no probe that this version knows"
        if entry.error is not None and not is_label(f"error-{entry.icmp_type}-{entry.icmp_code}"):
            yield f"$.sets[{at}]", [entry.icmp_type, entry.icmp_code], "no ICMP error that is a reply"
        if entry.cardinality > ADDRESSES:
            yield f"$.sets[{at}].cardinality", entry.cardinality, f"expected at most {ADDRESSES:,}"


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except (ValueError, OverflowError):
        return False
    return True
