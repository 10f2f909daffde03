"""Populations: lists of replies that become the manifest and sets of a run, in memory or on disk."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pyroaring import BitMap

from liveness.ipsets.portable_index import PortableSet
from liveness.ipsets.roaring import SetDigest
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Counts, Manifest, ProbeCounts
from liveness.runs.rundir import RunDirectory
from liveness.runs.set_entry import SetEntry

EIGHT = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp")
CONTROL = "tcp/control"
BY_SIGN = {
    "positive": (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.ANSWER),
    "negative": (Kind.RST, Kind.PAYLOAD),
    "error": (Kind.ERROR,),
}


@dataclass(frozen=True)
class Reply:
    """One accepted packet; `error` is the ICMP type and code of an error."""

    probe: str
    kind: Kind
    source: int
    target: int
    error: tuple[int, int] | None = None
    attempt: int = 0

    @property
    def key(self) -> ReplyKey:
        return ReplyKey(self.probe, self.kind, *(self.error or (None, None)))


@dataclass(frozen=True)
class Population:
    """What a network answered to a run of these probes; `control` tells whether the tarpit control was among them."""

    replies: Sequence[Reply]
    probes: Sequence[str] = EIGHT
    control: bool = True
    name: str = "census"
    run_id: str = "2026-11-21T000000Z"
    started: str = "2026-11-21T00:00:00Z"
    status: Literal["complete", "partial", "running"] = "complete"
    loss_warnings: list[str] = field(default_factory=list)
    older: bool = False
    """Whether the manifest is one of the versions before attempts were counted by kind."""

    def sets(self) -> dict[SetKey, BitMap]:
        members: defaultdict[SetKey, set[int]] = defaultdict(set)
        for reply in self.replies:
            members[SetKey(reply.key, Role.SOURCE)].add(reply.source)
            members[SetKey(reply.key, Role.TARGET)].add(reply.target)
            if reply.source == reply.target and reply.kind in (Kind.ERROR, Kind.ECHO_REPLY):
                members[SetKey(reply.key, Role.DIRECT)].add(reply.source)
        return {key: BitMap(sorted(addresses)) for key, addresses in members.items()}

    def manifest(self, entries: list[SetEntry] | None = None) -> Manifest:
        """Return the manifest; without `entries`, that of sets which lie nowhere."""
        probed = [*self.probes, *([CONTROL] if self.control else [])]
        if entries is None:
            entries = [SetEntry.of(key, _digest(members)) for key, members in self.sets().items()]
        messages: dict[str, Counts] = {}
        for probe in probed:
            messages[probe] = dict(Counter(reply.key.label for reply in self.replies if reply.probe == probe))
        return Manifest(
            name=self.name,
            run_id=self.run_id,
            status=self.status,
            reason=None if self.status == "complete" else "interrupted",
            seed=73,
            config={"name": self.name},
            started=self.started,
            targets=4096,
            probes={probe: ProbeCounts(sent=[4096, 4096]) for probe in probed},
            sets=entries,
            messages=messages,
            control_port=51833 if self.control else None,
            attempts={probe: self.attempts(probe) for probe in probed},
            attempts_by_kind={} if self.older else {probe: self.attempts_by_kind(probe) for probe in probed},
            loss_warnings=self.loss_warnings,
        )

    def attempts(self, probe: str, kinds: Collection[Kind] = tuple(Kind)) -> Counts:
        """Count a probe's targets by the attempts (of two) their replies prove."""
        proven: defaultdict[int, list[str]] = defaultdict(lambda: ["0", "0"])
        for reply in self.replies:
            if reply.probe == probe and reply.kind in kinds:
                proven[reply.target][reply.attempt] = "1"
        return dict(Counter("".join(digits) for digits in proven.values()))

    def attempts_by_kind(self, probe: str) -> dict[str, Counts]:
        """Count the same by positive replies, negative ones and errors."""
        return {sign: self.attempts(probe, kinds) for sign, kinds in BY_SIGN.items()}

    def open_set(self, entry: SetEntry) -> PortableSet:
        """Open one set in memory, as the analysis opens those on disk; half of them with runs, as a run writes them."""
        members = self.sets()[entry.key]
        if len(entry.file) % 2:
            members.run_optimize()
        return PortableSet.of_bytes(members.serialize())

    def write(self, output: Path) -> RunDirectory:
        """Write the run below `output`."""
        run = RunDirectory.create(output, self.name, self.run_id)
        entries = [run.write_set(key, members) for key, members in self.sets().items()]
        run.write_manifest(self.manifest(entries))
        return run


def _digest(members: BitMap) -> SetDigest:
    content = members.serialize()
    return SetDigest(len(members), hashlib.sha256(content).hexdigest())


BASE = 0x0A000000
ROUTERS = BASE + 0x10001
LOOP = BASE + 0x20001


def town() -> Population:
    """Return a small fixed population with every kind of reply: the example the tables are shown with."""
    replies = [reply for host in range(200) for reply in (*_icmp_of(host), *_tcp_of(host), *_udp_of(host))]
    replies += [Reply("icmp", Kind.ERROR, LOOP + hop, BASE + 0x30000 + hop, (11, 0)) for hop in range(3)]
    return Population(replies)


def _address(host: int) -> int:
    return BASE + 256 * (host % 7) + host


def _is_tarpit(host: int) -> bool:
    return host % 50 == 0


def _icmp_of(host: int) -> list[Reply]:
    answers = host % 3 and not _is_tarpit(host)
    attempt = int(host % 41 == 0)  # the first was lost
    return [Reply("icmp", Kind.ECHO_REPLY, _address(host), _address(host), attempt=attempt)] if answers else []


def _tcp_of(host: int) -> list[Reply]:
    address, router = _address(host), ROUTERS + host % 4
    if _is_tarpit(host):
        return [Reply(probe, Kind.SYN_ACK, address, address) for probe in (*EIGHT[1:6], CONTROL)]
    replies = []
    for place, probe in enumerate(EIGHT[1:6]):
        if (host + place) % 6 == 0:
            replies.append(Reply(probe, Kind.SYN_ACK, address, address))
        elif (host + place) % 6 < 3 and host % 5 != place:
            replies.append(Reply(probe, Kind.RST, address, address))
        elif host % 11 == 0:
            replies.append(Reply(probe, Kind.ERROR, router, address, (3, (13, 0, 10, 1)[host % 4])))
    return replies


def _udp_of(host: int) -> list[Reply]:
    address = _address(host)
    replies = []
    for place, probe in enumerate(EIGHT[6:]):
        if host % 13 == place:
            replies.append(Reply(probe, Kind.ANSWER, address, address))
        elif host % 5 == place:
            replies.append(Reply(probe, Kind.ERROR, address, address, (3, 3)))
        elif host % 17 == place:
            replies.append(Reply(probe, Kind.PAYLOAD, address, address))
    return replies
