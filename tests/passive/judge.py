"""An independent judge: every figure of a passive run by dictionaries and loops, written from the definitions alone.

Slow and plain on purpose. It shares no code with the package: rules, bits and formulas are written again here.
"""

from __future__ import annotations

import csv
import datetime as dt
import ipaddress
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

IN, OUT = "in", "out"
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ICMP, TCP, UDP = 1, 6, 17
ERRORS = {3, 4, 5, 11, 12}

RULES = [
    (1, "MalScan", "TRWscan !HCscan !PotOk"),
    (2, "MalScan", "HCscan !TRWscan !TRWnom !PotOk"),
    (3, "MalScan", "TRWscan HCscan !PotOk"),
    (4, "MalScan", "GreyIP Onepkt !TRWscan !HCscan !Backsc !ICMP"),
    (5, "MalScan", "TRWnom HCscan"),
    (6, "OtherMal", "GreyIP !TRWscan !HCscan !Onepkt !ICMP !Backsc"),
    (7, "OtherMal", "Onepkt !GreyIP !ICMP !TRWscan !HCscan !bogon !P2P !Unreach !PotOk !Backsc"),
    (8, "Backscatter", "Backsc !TRWscan !HCscan !P2P"),
    (9, "Backscatter", "ICMP !TRWscan !HCscan !TRWnom !PotOk !Backsc !bogon"),
    (10, "Backscatter", "GreyIP TRWnom ICMP !HCscan"),
    (11, "SrvUnreach", "Unreach !TRWscan !HCscan !bogon"),
    (12, "BenignP2P", "P2P !GreyIP !Unreach !TRWscan !HCscan !bogon"),
    (13, "SuspBenign", "PotOk !Unreach !P2P !TRWnom !bogon"),
    (14, "SuspBenign", "Large !GreyIP !TRWscan !HCscan !P2P !Unreach !PotOk !ICMP !Backsc !bogon !TRWnom"),
    (15, "SuspBenign", "TRWnom !GreyIP !HCscan !P2P !Unreach !Onepkt !bogon"),
    (16, "Bogon", "bogon !TRWscan !HCscan !GreyIP !Backsc"),
]
CLASSES = ["MalScan", "OtherMal", "Backscatter", "SrvUnreach", "BenignP2P", "SuspBenign", "Bogon", "Other"]
SIGNS = [
    "TRWscan", "TRWnom", "HCscan", "GreyIP", "Onepkt", "Backsc", "ICMP", "PotOk", "bogon", "P2P", "Unreach", "Large",
    "TCP", "UDP",
]  # fmt: skip


def class_of(signs: set[str]) -> str:
    """Apply rules and tie-break."""
    matching = []
    for number, name, text in RULES:
        words = text.split()
        if all((word[1:] not in signs) if word[0] == "!" else (word in signs) for word in words):
            matching.append((number, name))
    for group in ({11}, {8, 9, 10}):
        for number, name in matching:
            if number in group:
                return name
    return matching[0][1] if matching else "Other"


@dataclass
class Record:
    """One flow record as a table has it; times in ns."""

    start: int
    end: int
    src: str
    dst: str
    sport: int
    dport: int
    protocol: int
    packets: int
    bytes: int
    flags: int = 0
    exporter: str = "e1"
    reverse: bool = False
    """Whether it is the answer in a row that describes both directions."""


@dataclass
class Setting:
    """What the judge has to know of a config."""

    local: list[str]
    interval_s: int = 600
    own: list[str] = field(default_factory=list)
    known: list[tuple[str, int, int]] = field(default_factory=list)
    """Address, protocol, port."""
    learn_clients: int = 3
    keep_s: int = 86400
    history_s: int = 86400
    targets: int = 32
    outage_share: float = 0.5
    outage_clients: int = 10


@dataclass
class Flow:
    """One key in one interval; a direction is there if it has a start."""

    packets: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    start: dict[str, int] = field(default_factory=dict)
    forward: bool = False
    """Whether an inbound record is no answer in a row of both directions."""


Key = tuple[str, str, int, int, int, str]
Service = tuple[str, int, int]
ServiceFlows = dict[Service, dict[int, dict[str, set[str]]]]


class Judge:
    """Works out everything for some records."""

    def __init__(self, records: list[Record], setting: Setting, registered: dict[int, set[int]], p2p: set[int],
                 special: list[str]) -> None:  # fmt: skip
        self.setting = setting
        self.registered, self.p2p = registered, p2p
        self.special = [ipaddress.ip_network(text) for text in special]
        self.local = [ipaddress.ip_network(text) for text in setting.local]
        self.own = [ipaddress.ip_network(text) for text in setting.own]
        self.counts: dict[str, Any] = {
            "read": 0, "invalid": Counter(), "outside": 0, "own_probes": 0, "excluded": Counter(), "duplicates": 0,
            "late": 0,
        }  # fmt: skip
        self.ns = setting.interval_s * 10**9
        self.flows: dict[int, dict[Key, Flow]] = defaultdict(dict)
        self._gather(records)
        self._pair()

    # ---- gates and flows

    @staticmethod
    def _within(address: str, networks: list[Any]) -> bool:
        return any(ipaddress.ip_address(address) in network for network in networks)

    def _gate(self, record: Record) -> str | None:  # noqa: PLR0911 - a reason each
        counts = self.counts
        counts["read"] += 1
        if record.end < record.start:
            counts["invalid"]["ends-before-start"] += 1
            return None
        if record.start < 631152000 * 10**9:
            counts["invalid"]["impossible-times"] += 1
            return None
        if record.src == record.dst == "0.0.0.0":  # noqa: S104 - an address in a record
            counts["invalid"]["no-addresses"] += 1
            return None
        if max(record.packets, record.bytes) >= 2**44:
            counts["invalid"]["impossible-counts"] += 1
            return None
        inside = [self._within(end, self.local) for end in (record.src, record.dst)]
        if inside[0] == inside[1]:
            counts["outside"] += 1
            return None
        if self._within(record.src, self.own) or self._within(record.dst, self.own):
            counts["own_probes"] += 1
            return None
        reason = self._exclusion(record)
        if reason:
            counts["excluded"][reason] += 1
            return None
        return OUT if inside[0] else IN

    @staticmethod
    def _exclusion(record: Record) -> str | None:
        if any(ipaddress.ip_address(end).is_multicast for end in (record.src, record.dst)):
            return "multicast"
        if "255.255.255.255" in (record.src, record.dst):
            return "broadcast"
        if record.protocol == UDP:
            if {record.sport, record.dport} <= {67, 68}:
                return "dhcp"
            if record.dport in {2055, 4739, 6343, 9995, 9996}:
                return "flow-export"
            if record.dport == 514:
                return "syslog"
        return None

    @staticmethod
    def _key(record: Record, direction: str) -> Key:
        local, remote = (record.src, record.dst) if direction == OUT else (record.dst, record.src)
        if record.protocol == ICMP:
            kind = record.dport // 256
            name = "echo" if kind in (0, 8) else "error" if kind in ERRORS else "other"
            return local, remote, 0, 0, ICMP, name
        ports = (record.sport, record.dport) if direction == OUT else (record.dport, record.sport)
        return local, remote, *ports, record.protocol, ""

    def _gather(self, records: list[Record]) -> None:
        observations: dict[tuple[Key, str], list[Record]] = defaultdict(list)
        self.copies: Counter[tuple[str, ...]] = Counter()
        self.later: Counter[tuple[str, ...]] = Counter()
        self.exporters: dict[int, Counter[str]] = defaultdict(Counter)
        for record in records:
            direction = self._gate(record)
            if direction is not None:
                observations[self._key(record, direction), direction].append(record)
                self.exporters[record.start // self.ns][record.exporter] += 1
        for (key, direction), group in observations.items():
            kept: list[Record] = []
            for record in sorted(group, key=lambda entry: (entry.start, entry.end)):
                for other in kept:
                    if other.exporter != record.exporter and other.end >= record.start:
                        self.counts["duplicates"] += 1
                        pair = tuple(sorted((record.exporter, other.exporter)))
                        self.copies[pair] += 1
                        self.later[pair] += (record.start - other.start) * (1 if record.exporter == pair[1] else -1)
                        other.packets = max(other.packets, record.packets)
                        other.bytes = max(other.bytes, record.bytes)
                        other.flags |= record.flags
                        break
                else:
                    kept.append(Record(**vars(record)))
            for record in kept:
                flow = self.flows[record.start // self.ns].setdefault(key, Flow())
                flow.packets[direction] += record.packets
                flow.bytes[direction] += record.bytes
                flow.flags[direction] |= record.flags if key[4] == TCP else 0
                flow.start[direction] = min(flow.start.get(direction, record.start), record.start)
                flow.forward |= direction == IN and not record.reverse

    # ---- pairing

    @staticmethod
    def _is_reset(flags: int) -> bool:
        return flags & 63 in (RST, RST | ACK)

    @staticmethod
    def _is_answer(flags: int) -> bool:
        return flags & 63 in (SYN | ACK, RST, RST | ACK, SYN | RST | ACK)

    def _around(self, interval: int, key: Key) -> list[Flow]:
        found = (self.flows.get(near, {}).get(key) for near in (interval - 1, interval, interval + 1))
        return [flow for flow in found if flow is not None]

    def _pair(self) -> None:  # noqa: C901 - the definition in one piece
        self.two_way: dict[int, set[Key]] = defaultdict(set)
        self.turned_away: dict[int, set[Key]] = defaultdict(set)
        self.refused: dict[int, set[Key]] = defaultdict(set)
        self.contact: dict[int, set[Key]] = defaultdict(set)
        for interval, flows in self.flows.items():
            for key, flow in flows.items():
                around = self._around(interval, key)
                has = {way: any(way in each.start for each in around) for way in (IN, OUT)}
                flags = dict.fromkeys((IN, OUT), 0)
                for each in around:
                    for way in (IN, OUT):
                        flags[way] |= each.flags[way]
                pairs = key[5] in ("", "echo")
                if pairs and has[IN] and has[OUT]:
                    self.two_way[interval].add(key)
                    if key[4] == TCP and self._is_reset(flags[OUT]):
                        self.turned_away[interval].add(key)
                        self.refused[interval].add(key)
                    if key[4] == TCP and self._is_reset(flags[IN]):
                        self.refused[interval].add(key)
                if IN not in flow.start or key[5] == "error":
                    continue
                if key[4] == TCP and self._is_answer(flow.flags[IN]):
                    continue
                first = {way: min((e.start[way] for e in around if way in e.start), default=None) for way in (IN, OUT)}
                order = 1 if not pairs or first[OUT] is None else first[OUT] - first[IN]  # type: ignore[operator]
                if order > 0 or (order == 0 and flow.forward):
                    self.contact[interval].add(key)

    def succeeds(self, interval: int, key: Key) -> bool:
        """Return whether a key is two-way and not refused in an interval."""
        return key in self.two_way[interval] and key not in self.refused[interval]

    # ---- scanners

    def _remote_signs(self, interval: int) -> dict[str, set[str]]:
        setting = self.setting
        first = interval - -(-setting.history_s // setting.interval_s) + 1
        contacts: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)
        for then in range(first, interval + 1):
            for key in self.contact.get(then, set()):
                answered = key in self.two_way[then] and key not in self.turned_away[then]
                contacts[key[1]].append((self.flows[then][key].start[IN], key[0], answered))
        found: dict[str, set[str]] = {}
        for remote, steps in contacts.items():
            met: set[str] = set()
            ratio, verdict = Fraction(1), None
            good = bad = 0
            for _, local, success in sorted(
                steps, key=lambda step: (step[0], int(ipaddress.ip_address(step[1])), not step[2])
            ):
                if local in met:
                    continue
                met.add(local)
                ratio *= Fraction(1, 4) if success else 4
                good, bad = good + int(success), bad + int(not success)
                if verdict is None and ratio > 99:
                    verdict = "TRWscan"
                if verdict is None and ratio < Fraction(1, 99):
                    verdict = "TRWnom"
            signs = {verdict} if verdict else set()
            if good + bad >= setting.targets and bad >= 2 * good:
                signs.add("HCscan")
            found[remote] = signs
        return found

    # ---- services

    @staticmethod
    def _may_be_service(key: Key, known: set[tuple[str, int, int]]) -> bool:
        return key[4] != ICMP and (key[2] < 49152 or (key[0], key[4], key[2]) in known)

    def _known(self, interval: int) -> set[tuple[str, int, int]]:
        setting = self.setting
        first = interval - -(-setting.keep_s // setting.interval_s) + 1
        clients: dict[tuple[str, int, int], set[str]] = defaultdict(set)
        for then in range(first, interval + 1):
            for key in self.flows.get(then, {}):
                if self.succeeds(then, key) and self._may_be_service(key, set(setting.known)):
                    clients[key[0], key[4], key[2]].add(key[1])
        learned = {service for service, remotes in clients.items() if len(remotes) >= setting.learn_clients}
        return learned | set(setting.known)

    # ---- signs

    def _sent(self, interval: int) -> set[str]:
        first = interval - -(-self.setting.history_s // self.setting.interval_s) + 1
        return {
            key[0]
            for then in range(first, interval + 1)
            for key, flow in self.flows.get(then, {}).items()
            if OUT in flow.start
        }

    def _exchanged(self, interval: int) -> dict[tuple[str, str], set[int]]:
        first = interval - -(-self.setting.history_s // self.setting.interval_s) + 1
        found: dict[tuple[str, str], set[int]] = defaultdict(set)
        for then in range(first, interval + 1):
            for key in self.flows.get(then, {}):
                if key[4] in (TCP, UDP) and key[2] >= 1024 and key[3] >= 1024:
                    found[key[0], key[1]].add(key[4])
        return found

    def _peers(self, interval: int) -> set[tuple[str, int, int]]:
        remotes: dict[tuple[str, int, int], set[str]] = defaultdict(set)
        ports: dict[tuple[str, int, int], set[int]] = defaultdict(set)
        for key, flow in self.flows.get(interval, {}).items():
            if key[4] in (TCP, UDP) and key[2] >= 1024 and IN in flow.start:
                remotes[key[0], key[4], key[2]].add(key[1])
                ports[key[0], key[4], key[2]].add(key[3])
        return {
            end
            for end, found in remotes.items()
            if len(found) >= 10 and abs(len(found) - len(ports[end])) * 10 <= len(found)
        }

    def _flow_signs(self, key: Key, flow: Flow) -> set[str]:
        signs = {ICMP: {"ICMP"}, TCP: {"TCP"}, UDP: {"UDP"}}.get(key[4], set())
        signs = set(signs)
        if key[4] in (TCP, UDP):
            service = key[3] < 1024 or key[3] in self.registered[key[4]]
            if service and key[2] >= 1024 and (key[4] == UDP or self._is_answer(flow.flags[IN])):
                signs.add("Backsc")
        if flow.packets[IN] == 1:
            signs.add("Onepkt")
        if flow.packets[IN] >= 10 or flow.bytes[IN] >= 10240:
            signs.add("Large")
        if self._within(key[1], self.special):
            signs.add("bogon")
        return signs

    # ---- the document

    def document(self) -> dict[str, Any]:
        """Return what a report must hold, of those parts that the definitions pin."""
        service_flows: ServiceFlows = defaultdict(dict)
        ever: set[tuple[str, int, int]] = set()
        symmetry = Counter[str]()
        span = range(min(self.flows), max(self.flows) + 1) if self.flows else range(0)
        intervals = [self._interval(interval, ever, service_flows, symmetry) for interval in span]
        totals = _sum(intervals)
        services = self._services(ever, service_flows)
        share = symmetry["unanswered"] / symmetry["ack"] if symmetry["ack"] else None
        return {
            "records": {
                **{name: value for name, value in self.counts.items() if isinstance(value, int)},
                "invalid": dict(self.counts["invalid"]), "excluded": dict(self.counts["excluded"]),
            },
            "totals": totals,
            "intervals": intervals,
            "services": services,
            "outages": self._outages(ever, service_flows, services),
            "symmetry": share,
        }  # fmt: skip

    def _interval(  # noqa: C901, PLR0912 - the definition in one piece
        self, interval: int, ever: set[Service], service_flows: ServiceFlows, symmetry: Counter[str]
    ) -> dict[str, Any]:
        sums = {name: dict.fromkeys(("flows", "packets", "bytes"), 0) for name in ("two_way", "one_way", "one_way_out")}
        classes = {name: dict.fromkeys(("flows", "packets", "bytes"), 0) for name in CLASSES}
        signs_count = dict.fromkeys(SIGNS, 0)
        flows = self.flows.get(interval, {})
        remote_signs = self._remote_signs(interval)
        known, sent = self._known(interval), self._sent(interval)
        exchanged, peers = self._exchanged(interval), self._peers(interval)
        ever |= known
        good_pairs = {
            key[:2] for near in (interval - 1, interval, interval + 1) for key in self.two_way[near]
            if self.succeeds(near, key)
        }  # fmt: skip
        good_clients = {
            (key[0], key[4], key[2], key[1]) for near in (interval - 1, interval, interval + 1)
            for key in self.two_way[near] if self.succeeds(near, key)
        }  # fmt: skip

        def add(to: dict[str, int], packets: int, size: int) -> None:
            to["flows"] += 1
            to["packets"] += packets
            to["bytes"] += size

        for key, flow in flows.items():
            two = key in self.two_way[interval]
            if IN in flow.start and key[4] == TCP and flow.flags[IN] & ACK:
                symmetry["ack"] += 1
                symmetry["unanswered"] += not two
            if two:
                add(sums["two_way"], flow.packets[IN] + flow.packets[OUT], flow.bytes[IN] + flow.bytes[OUT])
            else:
                if IN in flow.start:
                    add(sums["one_way"], flow.packets[IN], flow.bytes[IN])
                if OUT in flow.start:
                    add(sums["one_way_out"], flow.packets[OUT], flow.bytes[OUT])
            of_remote = remote_signs.get(key[1], set())
            service = key[0], key[4], key[2]
            if key[4] != ICMP:
                at = service_flows[service].setdefault(interval, {"ok": set(), "failed": set(), "left": set()})
                if self.succeeds(interval, key):
                    at["ok"].add(key[1])
                elif (
                    IN in flow.start
                    and (not two or key in self.turned_away[interval])
                    and (*service, key[1]) not in good_clients
                ):
                    at["left" if of_remote & {"TRWscan", "HCscan"} else "failed"].add(key[1])
            if two or IN not in flow.start:
                continue
            signs = self._flow_signs(key, flow) | of_remote
            if key[0] not in sent:
                signs.add("GreyIP")
            if key[:2] in good_pairs:
                signs.add("PotOk")
            if service in known and key[4] != ICMP:
                signs.add("Unreach")
            if key[4] in (TCP, UDP) and (
                key[2] in self.p2p or key[3] in self.p2p or exchanged[key[0], key[1]] == {TCP, UDP} or service in peers
            ):
                signs.add("P2P")
            for sign in signs:
                signs_count[sign] += 1
            add(classes[class_of(signs)], flow.packets[IN], flow.bytes[IN])
        return {"start": interval * self.ns, **sums, "classes": classes, "signs": signs_count}

    def _services(self, ever: set[Service], service_flows: ServiceFlows) -> dict[Any, Any]:
        found = {}
        for service in ever:
            by_interval = service_flows.get(service, {})
            ok = set().union(*(at["ok"] for at in by_interval.values()))
            failed = set().union(*(at["failed"] for at in by_interval.values())) - ok
            left = set().union(*(at["left"] for at in by_interval.values()))
            ever_failed = set().union(*(at["failed"] for at in by_interval.values()))
            found[service] = {
                "clients_ok": len(ok),
                "clients_failed": len(failed),
                "scanners_left_out": len(left - ok - ever_failed),
                "intervals": {
                    interval * self.ns: (len(at["ok"]), len(at["failed"]))
                    for interval, at in sorted(by_interval.items())
                    if at["ok"] or at["failed"]
                },
            }
        return found

    def _outages(self, ever: set[Service], service_flows: ServiceFlows, services: dict[Any, Any]) -> list[Any]:
        failing: list[tuple[int, int, Any]] = []
        for service in ever:
            by_interval = {i: at for i, at in service_flows.get(service, {}).items() if at["ok"] or at["failed"]}
            shares = {i: len(at["failed"]) / (len(at["ok"]) + len(at["failed"])) for i, at in by_interval.items()}
            if not shares or services[service]["clients_ok"] == 0:
                continue
            median = statistics.median(shares.values())
            bad = sorted(
                i for i, share in shares.items()
                if share >= self.setting.outage_share and share >= 2 * median
                and len(by_interval[i]["failed"]) >= self.setting.outage_clients
            )  # fmt: skip
            stretch: list[int] = []
            for i in bad:
                if stretch and i != stretch[-1] + 1:
                    failing.append((stretch[0], stretch[-1], service))
                    stretch = []
                stretch.append(i)
            if stretch:
                failing.append((stretch[0], stretch[-1], service))
        outages: list[list[tuple[int, int, Any]]] = []
        for first, last, service in sorted(failing, key=lambda entry: entry[:2]):
            if outages and first <= max(outage[1] for outage in outages[-1]):
                outages[-1].append((first, last, service))
            else:
                outages.append([(first, last, service)])
        return [
            {
                "start": min(entry[0] for entry in group) * self.ns,
                "end": (max(entry[1] for entry in group) + 1) * self.ns,
                "services": {entry[2] for entry in group},
                "clients": len(
                    set().union(
                        *(
                            service_flows[service][i]["failed"]
                            for first, last, service in group
                            for i in range(first, last + 1)
                        )
                    )
                ),
            }
            for group in outages
        ]


def _sum(intervals: list[dict[str, Any]]) -> dict[str, Any]:
    def added(parts: list[dict[str, int]]) -> dict[str, int]:
        return {name: sum(part[name] for part in parts) for name in ("flows", "packets", "bytes")}

    names = ("two_way", "one_way", "one_way_out")
    return {
        **{name: added([each[name] for each in intervals]) for name in names},
        "classes": {name: added([each["classes"][name] for each in intervals]) for name in CLASSES},
        "signs": {name: sum(each["signs"][name] for each in intervals) for name in SIGNS},
    }


def write_csv(path: Path, records: list[Record]) -> None:
    """Write records as a table in our columns."""

    def iso(ns: int) -> str:
        whole, rest = divmod(ns, 10**9)
        text = dt.datetime.fromtimestamp(whole, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text}.{rest:09d}Z"

    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["start", "end", "src", "dst", "sport", "dport", "protocol", "packets", "bytes", "flags", "exporter"]
        )
        for r in records:
            writer.writerow(
                [
                    iso(r.start),
                    iso(r.end),
                    r.src,
                    r.dst,
                    r.sport,
                    r.dport,
                    r.protocol,
                    r.packets,
                    r.bytes,
                    r.flags,
                    r.exporter,
                ]
            )
