"""Merging: the segments that receivers wrote become the sets and counts of their run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyroaring import BitMap

from liveness.applications.fingerprints.table import NAMES, UNKNOWN
from liveness.applications.registry import protocol_at
from liveness.replies import SIGNS, TALK, VERDICTS, Kind, ReplyKey, Role, SetKey, roles_of
from liveness.runs.manifest import Counts
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, SegmentFile, Tally, total
from liveness.runs.set_entry import SetEntry


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that was received in a run: its sets as they lie on disk, its counts, and which attempts were answered."""

    sets: list[SetEntry] = field(default_factory=list)
    attempts: dict[str, Counts] = field(default_factory=dict)
    """Targets with any reply, by probe and by the attempts that replies prove: one digit an attempt."""
    attempts_by_kind: dict[str, dict[str, Counts]] = field(default_factory=dict)
    """The same for the replies of each sign alone, by probe and sign; signs with any."""
    protocols: dict[str, Counts] = field(default_factory=dict)
    """Targets that sent data in talks, by probe and protocol; probes with any."""
    duplicates: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Accepted replies beyond the first of each target and attempt, by probe, class and attempt; classes with any."""
    tally: Tally = field(default_factory=Tally)


def merge(directory: RunDirectory, segments: Sequence[SegmentFile], probes: Sequence[str], attempts: int) -> Gathered:
    """Write the union of the segments' sets, one set at a time, and return what was gathered.

    The entries follow the order of `probes`, then kinds, ICMP types and codes. Raises LivenessError when the disk
    refuses or a segment is damaged; the segments stay.
    """
    keys = {key for segment in segments for key in segment.keys}
    gathered = Gathered(tally=total(segments))
    for probe in probes:
        answered = {sign: [BitMap() for _ in range(attempts)] for sign in SIGNS}
        outcome = {part: BitMap() for part in Role}
        spoke: dict[Kind, BitMap] = {}
        for reply in sorted({key.reply for key in keys if key.reply.probe == probe}, key=_order):
            whole = {part: BitMap() for part in Role}
            sent = [*gathered.tally.by_attempt.get(probe, {}).get(reply.label, []), *[0] * attempts]
            duplicates = []
            for attempt in range(attempts + 1):  # the last one is of replies that prove no attempt
                parts = {part: _union(segments, PartKey(reply, part, attempt)) for part in Role}
                for part, addresses in parts.items():
                    whole[part] |= addresses
                if attempt < attempts:
                    targets = parts[Role.DIRECT] | parts[Role.TARGET]
                    if reply.kind not in VERDICTS:  # which rest on a SYN-ACK that proves its attempt already
                        answered[reply.kind.sign][attempt] |= targets
                    duplicates.append(sent[attempt] - len(targets))
            if reply.of_talk and reply.kind in TALK:
                _keep_one_outcome(whole, outcome)
                spoke[reply.kind] = whole[Role.TARGET]
            gathered.sets.extend(_write_sets(directory, reply, whole))
            if any(duplicates):
                gathered.duplicates.setdefault(probe, {})[reply.label] = duplicates
        gathered.protocols.update(_protocols(segments, probe, spoke))
        by_kind: dict[str, Counts] = {
            sign: counts for sign, proven in answered.items() if (counts := _patterns(proven))
        }
        if by_kind:
            any_kind = [BitMap.union(*proven) for proven in zip(*answered.values(), strict=True)]
            gathered.attempts[probe], gathered.attempts_by_kind[probe] = _patterns(any_kind), by_kind
    return gathered


def _keep_one_outcome(whole: dict[Role, BitMap], outcome: dict[Role, BitMap]) -> None:
    """Remove from the sets of one outcome of talks the addresses with an outcome that counts more, and add the rest."""
    for role in (Role.SOURCE, Role.TARGET):
        whole[role] = (whole[role] | whole[Role.DIRECT]) - outcome[role]
        outcome[role] |= whole[role]
    whole[Role.DIRECT] = BitMap()  # in both of the others now


def _protocols(segments: Sequence[SegmentFile], probe: str, spoke: dict[Kind, BitMap]) -> dict[str, Counts]:
    """Return by probe how many targets sent data of each protocol, the most frequent first; nothing if none did.

    An answer is of the protocol of the port. Of several other protocols the first in the table of fingerprints counts.
    """
    answers, rest = spoke.get(Kind.ANSWER, BitMap()), spoke.get(Kind.PAYLOAD, BitMap())
    counts = Counter({protocol_at(probe) or UNKNOWN: len(answers)})
    for number, name in enumerate(NAMES[1:], 1):
        found = _union(segments, PartKey(ReplyKey(probe, Kind.PAYLOAD), Role.TARGET, 0, number)) & rest
        counts[name] += len(found)
        rest = rest - found
    counts[UNKNOWN] += len(rest)
    return {probe: by_count(counts)} if counts.total() else {}


def by_count(counts: Mapping[str, int]) -> Counts:
    """Return the counts that are not 0, the largest first, equal ones by name."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: count for name, count in ranked if count}


def _order(reply: ReplyKey) -> tuple[int, int, int]:
    """Return the place of a class among those of a probe; outcomes of talks come in the order of TALK."""
    return int(reply.kind), reply.icmp_type or 0, reply.icmp_code or 0


def _union(segments: Sequence[SegmentFile], key: PartKey) -> BitMap:
    union = BitMap()
    for segment in segments:  # one part in memory at a time: a union of all at once would be no faster
        if key in segment:
            union |= segment.part(key)
    return union


def _write_sets(directory: RunDirectory, reply: ReplyKey, parts: dict[Role, BitMap]) -> list[SetEntry]:
    """Write the sets of one class of replies; a part that a set needs twice is not copied, for it may be large."""
    direct = parts[Role.DIRECT]
    entries = []
    for role in roles_of(reply.kind):
        others = BitMap() if role is Role.DIRECT else parts[role]
        addresses = (direct | others if direct else others) if others else direct
        if addresses:
            entries.append(directory.write_set(SetKey(reply, role), addresses))
    return entries


def _patterns(answered: Sequence[BitMap]) -> Counts:
    """Return how many targets were answered, by the attempts that replies prove; `answered` has a set an attempt."""
    counts = {}
    for number in range((1 << len(answered)) - 1, 0, -1):
        digits = f"{number:0{len(answered)}b}"
        proven = [addresses for addresses, digit in zip(answered, digits, strict=True) if digit == "1"]
        others = [addresses for addresses, digit in zip(answered, digits, strict=True) if digit == "0"]
        matching = BitMap.intersection(*proven)
        for addresses in others:
            matching -= addresses
        if matching:
            counts[digits] = len(matching)
    return counts
