"""The numbers of a `time` section for the kernels: a part of the population's tables, as uint64."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.change.section import DAYS, Behaviour, Event, EventKind, Kind, TimeSection, prefix_of

# The header of this part. Offsets are relative to its start; times are ns, shares are in units of 2**-32.
STARTS: Final = 0
ZONES: Final = 1
AT_ZONES: Final = 2
BEHAVIOURS: Final = 3
AT_BEHAVIOURS: Final = 4
AT_CHOICES: Final = 5  # of each site: cumulative shares of the behaviours, all zero where hosts are always on
OUTAGE_PERIOD: Final = 6  # 0 without drawn outages
OUTAGE_SHORTEST: Final = 7
OUTAGE_SPREAD: Final = 8  # the longest less the shortest
OUTAGE_SHIFT: Final = 9
WITHIN: Final = 10
BORN: Final = 11  # cumulative: born, dies, firewalled
DIES: Final = 12
FIREWALLED: Final = 13
RENUMBERED: Final = 14
EVENTS: Final = 15
AT_EVENTS: Final = 16
WAKING_HOSTS: Final = 17
WAKING_IDLE: Final = 18
WAKING_UP_TO: Final = 19
LATE_HOSTS: Final = 20
LATE_REPLIES: Final = 21
LATE_UP_TO: Final = 22
HEADER: Final = 23

# A behaviour.
KIND: Final = 0
BEGINS: Final = 1
LASTS: Final = 2
DAY_BITS: Final = 3  # bit 0 is Monday
JITTER: Final = 4
PRESENT: Final = 5
ALWAYS_ON: Final = 6
SLOT: Final = 7
UP: Final = 8
LEASE: Final = 9
BEHAVIOUR_WORDS: Final = 10

ALWAYS, DIURNAL, SESSIONS, POOL = range(4)
KINDS: Final[dict[Kind, int]] = {"always": ALWAYS, "diurnal": DIURNAL, "sessions": SESSIONS, "pool": POOL}

# An event.
FIRST: Final = 0
LAST: Final = 1
EVENT_KIND: Final = 2
BEGIN: Final = 3
END: Final = 4
MOVED_TO: Final = 5
EVENT_WORDS: Final = 6

OUTAGE_EVENT, BORN_EVENT, DIES_EVENT, FIREWALL_EVENT, RENUMBERED_EVENT = range(5)
EVENT_KINDS: Final[dict[EventKind, int]] = {
    "outage": OUTAGE_EVENT,
    "born": BORN_EVENT,
    "dies": DIES_EVENT,
    "firewall": FIREWALL_EVENT,
    "renumbered": RENUMBERED_EVENT,
}

WEST_H: Final = 12
"""Hours that are added to zones, so that none is negative."""
HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS
NEVER_NS: Final = (1 << 63) - 1
WHOLE: Final = 1 << 32
NOTHING: Final = np.zeros(0, np.uint64)


def time_part(section: TimeSection | None, sites: list[str]) -> NDArray[np.uint64]:
    """Return the part of the tables for a checked section; `sites` are the names of the sites in their order."""
    if section is None:
        return NOTHING
    outages, fates, waking, late = section.outages, section.fates, section.slow_first, section.late
    numbers = {
        STARTS: section.starts_ns,
        ZONES: len(section.zones),
        BEHAVIOURS: len(section.behaviours),
        OUTAGE_PERIOD: outages.period_us * 1000,
        OUTAGE_SHORTEST: outages.shortest.us * 1000,
        OUTAGE_SPREAD: (outages.longest.us - outages.shortest.us) * 1000,
        OUTAGE_SHIFT: 32 - outages.prefix,
        WITHIN: fates.within.us * 1000,
        BORN: fixed(fates.born),
        DIES: fixed(fates.born + fates.dies),
        FIREWALLED: fixed(fates.born + fates.dies + fates.firewalled),
        RENUMBERED: fixed(fates.renumbered),
        EVENTS: len(section.events),
    }
    if waking is not None:
        numbers |= {WAKING_HOSTS: fixed(waking.hosts), WAKING_IDLE: waking.idle.us * 1000}
        numbers |= {WAKING_UP_TO: waking.up_to.us * 1000}
    if late is not None:
        numbers |= {LATE_HOSTS: fixed(late.hosts), LATE_REPLIES: fixed(late.replies), LATE_UP_TO: late.up_to.us * 1000}
    parts = {
        AT_ZONES: [zone + WEST_H for zone in section.zones],
        AT_BEHAVIOURS: [word for behaviour in section.behaviours for word in _behaviour_words(behaviour)],
        AT_CHOICES: [share for site in sites for share in _choices(section.behaviours, site)],
        AT_EVENTS: [word for event in section.events for word in _event_words(event, section.starts_ns)],
    }
    head = np.zeros(HEADER, np.uint64)
    for place, number in numbers.items():
        head[place] = number
    at = HEADER
    for place, words in parts.items():
        head[place] = at
        at += len(words)
    return np.concatenate([head, *(np.array(words, np.uint64) for words in parts.values())])


def fixed(share: float) -> int:
    """Return a share in units of 2**-32."""
    return min(WHOLE, round(share * WHOLE))


def _behaviour_words(behaviour: Behaviour) -> list[int]:
    begins, ends = behaviour.begins.us * 1000, behaviour.ends.us * 1000
    lasts = ends - begins if ends > begins else ends - begins + DAY_NS  # past midnight
    return [
        KINDS[behaviour.kind],
        begins,
        lasts,
        sum(1 << DAYS.index(day) for day in set(behaviour.days)),
        behaviour.jitter.us * 1000,
        fixed(behaviour.present),
        fixed(behaviour.always_on),
        behaviour.slot.us * 1000,
        fixed(behaviour.up),
        behaviour.lease.us * 1000,
    ]


def _choices(behaviours: tuple[Behaviour, ...], site: str) -> list[int]:
    """Return cumulative shares of the behaviours of a site's /24s."""
    weights = [one.weight if not one.sites or site in one.sites else 0.0 for one in behaviours]
    total = sum(weights)
    if total == 0:
        return [0] * len(behaviours)
    return [fixed(float(passed)) for passed in np.cumsum(weights) / total]


def _event_words(event: Event, starts_ns: int) -> list[int]:
    first, last = prefix_of(event.prefix, "")
    begin = starts_ns + event.at.us * 1000
    end = NEVER_NS if event.length is None else begin + event.length.us * 1000
    to = prefix_of(event.to, "")[0] if event.to is not None else 0
    return [first, last, EVENT_KINDS[event.kind], begin, end, to]
