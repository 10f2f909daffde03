"""The shape of the report document of a passive run: what tables, page and figures rely on.

Documents may have more keys. Numbers are bounded, so that sums and axes of figures are possible.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Struct

from liveness.passive.config import PREFIX_DATA
from liveness.passive.rules import CLASSES

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
FIRST_YEAR, LAST_YEAR = 1970, 2200
LONGEST_INTERVAL_S: Final = 366 * 86_400.0


def check_time(text: str) -> None:
    """Raise ValueError for a text that is no time from 1970 to 2200."""
    if not FIRST_YEAR <= datetime.fromisoformat(text).year < LAST_YEAR:
        raise ValueError(f"{text!r} is no time from {FIRST_YEAR} to {LAST_YEAR}")


class Sums(Struct):
    """Numbers of flows, of their packets and bytes."""

    flows: Count
    packets: Count
    bytes: Count


class Totals(Struct):
    """Sums of all directions, classes and signs."""

    two_way: Sums
    one_way: Sums
    one_way_out: Sums
    classes: dict[str, Sums]
    signs: Annotated[dict[str, Count], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Refuse sums without those of a class; msgspec adds the path inside the document."""
        missing = [name for name in CLASSES if name not in self.classes]
        if missing:
            raise ValueError(f"classes: {missing[0]} is missing")


class Interval(Totals):
    """Sums of one interval."""

    start: str
    ports: dict[str, Count]
    records: Count = 0
    exporters: dict[str, Count] = {}

    def __post_init__(self) -> None:
        """Refuse what is no time, and what is wrong with the sums."""
        check_time(self.start)
        super().__post_init__()


class ServiceInterval(Struct):
    """Clients of one service in one interval."""

    start: str
    clients_ok: Count
    clients_failed: Count


class Service(Struct):
    """Clients of one service."""

    service: str
    clients_ok: Count
    clients_failed: Count
    failed_share: Share | None
    scanners_left_out: Count
    intervals: list[ServiceInterval]


class Outage(Struct):
    """One outage."""

    start: str
    end: str
    services: Annotated[list[str], msgspec.Meta(min_length=1)]
    clients: Count

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        check_time(self.start)
        check_time(self.end)


class Symmetry(Struct):
    """Whether the capture saw both directions."""

    verdict: str
    tcp_inbound_established_unanswered: Share | None


class Combination(Sums, rename={"class_name": "class"}):
    """A combination of signs, the rules that it matches and its class."""

    signs: list[str]
    rules: list[int]
    class_name: str
    conflict: bool


class Records(Struct):
    """What became of the records that were read."""

    read: Count
    duplicates: Count
    outside: Count
    own_probes: Count
    late: Count
    excluded: dict[str, Count]
    invalid: dict[str, Count]


class Exporter(Struct):
    """The records of one exporter, its sampling (1 of so many packets), and when it was seen."""

    exporter: str
    records: Count
    sampling: Count | None
    invalid: Count = 0
    duplicates: Count = 0
    intervals: Count = 0
    silent_intervals: Count = 0
    first: str | None = None
    newest: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        for text in (self.first, self.newest):
            if text is not None:
                check_time(text)


class DuplicatePair(Struct):
    """Records that two exporters have both seen."""

    exporters: tuple[str, str]
    records: Count
    second_starts_later_s: Annotated[float, msgspec.Meta(ge=-1e10, le=1e10)] | None = None


class RuleHits(Struct, rename={"class_name": "class"}):
    """Flows that match a rule, and those of them whose class it has decided."""

    rule: int
    class_name: str
    signs: str
    matched: Count
    decided: Count


class LocalAddresses(Struct):
    """Local addresses, and how many were seen in which way."""

    inside: Count
    two_way: Count
    one_way: Count
    grey: Count


class Source(Sums):
    """Inbound one-way flows from one origin: a country or an autonomous system, null without a label."""

    origin: str | None
    classes: dict[str, Count]


class ServiceOrigin(Struct):
    """The clients of a service from one origin."""

    service: str
    origin: str | None
    clients_ok: Count
    clients_failed: Count
    failed_share: Share


class Report(Struct):
    """The document."""

    schema: int
    run: str
    status: str
    interval_s: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_INTERVAL_S)]
    rules: str
    records: Records
    totals: Totals
    intervals: list[Interval]
    services: list[Service]
    outages: list[Outage]
    symmetry: Symmetry
    combinations: list[Combination]
    dead: list[str] = []
    exporters: list[Exporter] = []
    duplicate_pairs: list[DuplicatePair] = []
    sources: dict[str, list[Source]] = {}
    services_by_origin: dict[str, list[ServiceOrigin]] = {}
    rule_hits: list[RuleHits] = []
    undecoded: dict[str, Count] = {}
    local_addresses: LocalAddresses | None = None

    def __post_init__(self) -> None:
        """Refuse origins of another kind: their names become those of files."""
        for name in [*self.sources, *self.services_by_origin]:
            if name not in PREFIX_DATA:
                raise ValueError(f"origins are {' or '.join(PREFIX_DATA)}, not {name!r}")
