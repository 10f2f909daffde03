"""The `time` section of a population file: how hosts behave, what happens to networks, and the clock of the model."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from liveness.config.units import Duration
from liveness.errors import UsageError
from liveness.space.addresses import parse_entry

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONDAY: Final = datetime(2026, 12, 7, tzinfo=UTC)
DAY: Final = Duration("24h")
MAX_SPEED: Final = 100_000
MAX_LATE: Final = Duration("1h")
"""Replies prove their round for an hour."""

Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(gt=0, le=1e9)]
Zone = Annotated[int, Meta(ge=-12, le=14)]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: an unknown field is an error."""


Kind = Literal["always", "diurnal", "sessions", "pool"]
"""How the hosts of a /24 come and go."""


class Behaviour(Section, frozen=True, kw_only=True):
    """The behaviour of the hosts of a /24; each /24 has one, by weight, of those that name its site or no site.

    `diurnal`: hosts are up from `begins` to `ends`, local time, on the given weekdays; each host shifts both times by
    up to `jitter` of its own, comes on a share `present` of these days, and a share `always_on` never goes.
    `sessions`: time is cut into slots, and a host is up in a share `up` of them, each slot independently.
    `pool`: the hosts of the /24 exchange their addresses whenever a lease ends.
    """

    name: str
    kind: Kind
    weight: Weight = 1.0
    sites: tuple[str, ...] = ()
    begins: Duration = Duration("8h")
    ends: Duration = Duration("18h")
    days: Annotated[tuple[str, ...], Meta(min_length=1)] = DAYS[:5]
    jitter: Duration = Duration("0s")
    present: Share = 1.0
    always_on: Share = 0.0
    slot: Duration = Duration("3h")
    up: Share = 0.5
    lease: Duration = DAY


class Outages(Section, frozen=True, kw_only=True):
    """Outages that are drawn: prefixes of this length are down for a share of the time, evenly long in a range."""

    share: Share = 0.0
    shortest: Duration = Duration("30m")
    longest: Duration = Duration("6h")
    prefix: Annotated[int, Meta(ge=8, le=24)] = 24

    @property
    def period_us(self) -> int:
        """Time in which each prefix has one outage."""
        return round((self.shortest.us + self.longest.us) / 2 / self.share) if self.share else 0


class Fates(Section, frozen=True, kw_only=True):
    """Shares of /24s to which something happens, once, at a time drawn from the span `within`."""

    within: Duration = Duration("336h")
    born: Share = 0.0
    dies: Share = 0.0
    firewalled: Share = 0.0
    renumbered: Share = 0.0
    """Share of pairs of neighbouring /24s: the hosts of the lower one move to the upper one, silent until then."""


EventKind = Literal["outage", "born", "dies", "firewall", "renumbered"]
"""What happens to a prefix."""


class Event(Section, frozen=True, kw_only=True):
    """An event that is listed: what happens to which prefix, how long after the start of the model's clock.

    An outage has a length; a firewall may have one, otherwise it stays. `to` is the prefix to which hosts move.
    """

    kind: EventKind
    prefix: str
    at: Duration
    length: Duration | None = None
    to: str | None = None


class SlowFirst(Section, frozen=True, kw_only=True):
    """Hosts that wake up: after `idle` without a probe, a reply takes up to `up_to` longer, each host its own time."""

    hosts: Share
    idle: Duration = Duration("5m")
    up_to: Duration = Duration("4s")


class Late(Section, frozen=True, kw_only=True):
    """Hosts whose replies may be late: a share of the replies takes up to `up_to` longer, mostly much less."""

    hosts: Share
    replies: Share = 1.0
    up_to: Duration = Duration("3m")


class TimeSection(Section, frozen=True, kw_only=True):
    """The whole section. The model's clock shows `starts` when a lab starts, and passes `speed` seconds in a second."""

    starts: datetime = MONDAY
    speed: Annotated[int, Meta(ge=1, le=MAX_SPEED)] = 1
    zones: Annotated[tuple[Zone, ...], Meta(min_length=1, max_length=256)] = (0,)
    """Hours by which /16s are ahead of UTC, each equally likely."""
    behaviours: Annotated[tuple[Behaviour, ...], Meta(max_length=100)] = ()
    outages: Outages = Outages()
    fates: Fates = Fates()
    events: Annotated[tuple[Event, ...], Meta(max_length=256)] = ()
    slow_first: SlowFirst | None = None
    late: Late | None = None

    @property
    def starts_ns(self) -> int:
        """The time of the model's clock when a lab starts, ns since the epoch."""
        return int(self.starts.timestamp()) * 1_000_000_000


def prefix_of(text: str, place: str) -> tuple[int, int]:
    """Return first and last address of a prefix of whole /24s. UsageError names the place and the value."""
    try:
        first, last = parse_entry(text)
    except ValueError as problem:
        raise UsageError(f"{place}: {problem}") from None
    if first & 0xFF or last & 0xFF != 0xFF:  # noqa: PLR2004 - last octets of whole /24s
        raise UsageError(f"{place}: {text!r}: expected a prefix of whole /24s, such as 192.0.2.0/24")
    return first, last


def validate(section: TimeSection, sites: list[str], origin: str) -> None:
    """Check what types cannot express. UsageError names `origin`, the path and the value."""
    root = f"{origin}: $.time"
    if section.starts.tzinfo is None:
        raise UsageError(f"{root}.starts: {section.starts.isoformat()!r}: expected a time with its zone, such as …Z")
    if not 0 <= section.starts.year - 1971 < 200:  # noqa: PLR2004 - nanoseconds of these years fit 64 bits
        raise UsageError(f"{root}.starts: {section.starts.isoformat()!r}: expected a year from 1971 to 2170")
    for index, behaviour in enumerate(section.behaviours):
        _check_behaviour(behaviour, sites, f"{root}.behaviours[{index}]")
    outages = section.outages
    if outages.share and not 0 < outages.shortest.us <= outages.longest.us <= outages.period_us:
        raise UsageError(
            f"{root}.outages: {outages.share:g} of the time in outages of {outages.shortest} to {outages.longest}:"
            " expected shortest above 0, longest not shorter, and a smaller share"
        )
    fates = section.fates
    if fates.born + fates.dies + fates.firewalled > 1:
        raise UsageError(f"{root}.fates: born, dies and firewalled are more than all /24s together")
    if fates.within.us == 0:
        raise UsageError(f"{root}.fates.within: {fates.within}: expected a time above 0")
    for index, event in enumerate(section.events):
        _check_event(event, f"{root}.events[{index}]")
    if section.late is not None and section.late.up_to.us > MAX_LATE.us:
        raise UsageError(f"{root}.late.up_to: {section.late.up_to}: at most {MAX_LATE}")
    if section.slow_first is not None and section.slow_first.up_to.us > MAX_LATE.us:
        raise UsageError(f"{root}.slow_first.up_to: {section.slow_first.up_to}: at most {MAX_LATE}")


def _check_behaviour(behaviour: Behaviour, sites: list[str], place: str) -> None:
    for name in behaviour.sites:
        if name not in sites:
            raise UsageError(f"{place}.sites: {name!r}: no site has this name")
    for day in behaviour.days:
        if day not in DAYS:
            raise UsageError(f"{place}.days: {day!r}: expected some of {', '.join(DAYS)}")
    for field in ("begins", "ends", "jitter"):
        span = getattr(behaviour, field)
        if span.us > DAY.us:
            raise UsageError(f"{place}.{field}: {span}: at most {DAY}")
    for field in ("slot", "lease"):
        span = getattr(behaviour, field)
        if span.us == 0:
            raise UsageError(f"{place}.{field}: {span}: expected a time above 0")


def _check_event(event: Event, place: str) -> None:
    first, last = prefix_of(event.prefix, f"{place}.prefix")
    if event.kind == "outage" and event.length is None:
        raise UsageError(f"{place}.length: missing: how long the outage lasts")
    if event.length is not None and event.kind not in ("outage", "firewall"):
        raise UsageError(f"{place}.length: {event.length}: only an outage or a firewall has a length")
    if (event.to is not None) != (event.kind == "renumbered"):
        raise UsageError(f"{place}.to: expected for 'renumbered', and for nothing else")
    if event.to is not None:
        begin, end = prefix_of(event.to, f"{place}.to")
        if end - begin != last - first or (begin <= last and first <= end):
            raise UsageError(f"{place}.to: {event.to!r}: expected another prefix, as long as {event.prefix}")
