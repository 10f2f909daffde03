"""Gates: which flow records count. Each record that does not is counted under the first reason that fits."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import (
    MARK_QUOTE,
    MARK_REVERSE,
    PROTOCOL_ICMP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    Flow,
    Flows,
)
from liveness.kernel import int64, kernel, uint64
from liveness.passive.records import (
    FORWARD_IN,
    INBOUND,
    KIND_ECHO,
    KIND_ERROR,
    KIND_OTHER,
    KIND_PORTS,
    OBSERVATION_DTYPE,
    OUTBOUND,
    QUOTED_IN,
    QUOTED_OUT,
    Observations,
    Row,
)
from liveness.space.intervals import Intervals
from liveness.space.lookup import is_within

EXCLUSIONS: Final = ("multicast", "broadcast", "dhcp", "flow-export", "syslog")
"""Protocols that are one-way by nature, in the order in which they are looked for."""
INVALID: Final = ("ends-before-start", "impossible-times", "no-addresses", "impossible-counts")
MULTICAST, BROADCAST, DHCP, FLOW_EXPORT, SYSLOG = range(len(EXCLUSIONS))
_PASSED, _OUTSIDE, _OWN = 0, 1, 2
_INVALID: Final = 3
_EXCLUDED: Final = _INVALID + len(INVALID)
VERDICTS: Final = _EXCLUDED + len(EXCLUSIONS)

EARLIEST_NS: Final = 631_152_000 * 1_000_000_000  # 1990: before any flow was exported
LATEST_NS: Final = 4_102_444_800 * 1_000_000_000  # 2100
COUNT_BITS: Final = 44
"""Packets and bytes of a record are below 2 to the power of this: sums of many records fit 64 bits then."""
_MULTICAST_FIRST: Final = 224 << 24
_MULTICAST_LAST: Final = (240 << 24) - 1
_BROADCAST_ADDRESS: Final = (1 << 32) - 1
_DHCP_PORTS: Final = (67, 68)
_EXPORT_PORTS: Final = (2055, 4739, 6343, 9995, 9996)
"""NetFlow, IPFIX and sFlow."""
_SYSLOG_PORT: Final = 514


@kernel
def icmp_kind(kind: int) -> int:
    """Return the KIND_* of ICMP's type * 256 + code."""
    which = kind >> 8
    if which in (0, 8):
        return KIND_ECHO
    if which in (3, 4, 5, 11, 12):
        return KIND_ERROR
    return KIND_OTHER


@kernel
def _fault(flow: Flow) -> int:
    """Return which of INVALID a record is, -1 for none."""
    start_ns, end_ns = int64(flow["start_ns"]), int64(flow["end_ns"])
    if end_ns < start_ns:
        return 0
    if start_ns < EARLIEST_NS or end_ns > LATEST_NS:
        return 1
    if int64(flow["src"]) == 0 and int64(flow["dst"]) == 0:
        return 2
    if (uint64(flow["packets"]) | uint64(flow["bytes"])) >> uint64(COUNT_BITS) != 0:
        return 3
    return -1


@kernel
def _excluded(src: int, dst: int, sport: int, dport: int, protocol: int, excluded: NDArray[np.bool_]) -> int:
    """Return which naturally one-way protocol a record is of, -1 for none that is excluded."""
    if excluded[MULTICAST] and (
        _MULTICAST_FIRST <= dst <= _MULTICAST_LAST or _MULTICAST_FIRST <= src <= _MULTICAST_LAST
    ):
        return MULTICAST
    if excluded[BROADCAST] and _BROADCAST_ADDRESS in (src, dst):
        return BROADCAST
    if protocol == PROTOCOL_UDP:
        if excluded[DHCP] and sport in _DHCP_PORTS and dport in _DHCP_PORTS:
            return DHCP
        if excluded[FLOW_EXPORT] and dport in _EXPORT_PORTS:
            return FLOW_EXPORT
        if excluded[SYSLOG] and dport == _SYSLOG_PORT:
            return SYSLOG
    return -1


@kernel
def note_quote(
    flow: Flow, inside: bool, local_first: NDArray[np.uint32], local_last: NDArray[np.uint32], out: Row
) -> bool:
    """Write the observation of the flow that a record of ICMP errors quotes; return False if it stays on one side.

    It has no packets: it only says that the flow was answered negatively, from inside (`inside`) or from outside.
    """
    sender, to = int64(flow["dst"]), int64(flow["output"])
    if is_within(to, local_first, local_last) != inside or sender == to:
        return False
    sport, dport, protocol = int64(flow["input"]) >> 16, int64(flow["input"]) & 0xFFFF, int64(flow["first_flags"])
    out["start_ns"], out["end_ns"] = flow["start_ns"], flow["start_ns"]
    out["packets"], out["bytes"], out["exporter"], out["flags"] = 0, 0, 0, 0
    out["protocol"] = protocol
    out["kind"] = KIND_ECHO if protocol == PROTOCOL_ICMP else KIND_PORTS
    if inside:
        out["local"], out["remote"], out["lport"], out["rport"] = to, sender, dport, sport
        out["marks"] = QUOTED_OUT
    else:
        out["local"], out["remote"], out["lport"], out["rport"] = sender, to, sport, dport
        out["marks"] = QUOTED_IN
    return True


@kernel
def sort_out(
    flows: Flows,
    digests: NDArray[np.uint32],
    local_first: NDArray[np.uint32],
    local_last: NDArray[np.uint32],
    own_first: NDArray[np.uint32],
    own_last: NDArray[np.uint32],
    excluded: NDArray[np.bool_],
    out: Observations,
    counts: NDArray[np.int64],
    invalid: NDArray[np.int64],
) -> int:
    """Write the observations of the records that count, add the others to `counts` by verdict; return how many.

    `invalid` counts records of impossible times, counts or addresses by exporter; `digests` are those of the exporters'
    names. Both are by the exporter's number. `out` has room for two a record, as one of ICMP errors is also one of the
    flow that they quote.
    """
    n = 0
    for at in range(len(flows)):
        flow = flows[at]
        src, dst = int64(flow["src"]), int64(flow["dst"])
        start_ns, end_ns = int64(flow["start_ns"]), int64(flow["end_ns"])
        fault = _fault(flow)
        if fault >= 0:
            counts[_INVALID + fault] += 1
            invalid[flow["exporter"]] += 1
            continue
        inside = is_within(src, local_first, local_last)
        if inside == is_within(dst, local_first, local_last):
            counts[_OUTSIDE] += 1
            continue
        if len(own_first) > 0 and (is_within(src, own_first, own_last) or is_within(dst, own_first, own_last)):
            counts[_OWN] += 1
            continue
        sport, dport, protocol = int64(flow["sport"]), int64(flow["dport"]), int64(flow["protocol"])
        which = _excluded(src, dst, sport, dport, protocol, excluded)
        if which >= 0:
            counts[_EXCLUDED + which] += 1
            continue
        counts[_PASSED] += 1
        observation = out[n]
        n += 1
        observation["start_ns"], observation["end_ns"] = start_ns, end_ns
        observation["packets"], observation["bytes"] = flow["packets"], flow["bytes"]
        observation["exporter"] = digests[flow["exporter"]]
        observation["protocol"] = protocol
        observation["flags"] = flow["flags"] if protocol == PROTOCOL_TCP else 0
        observation["kind"] = 0
        if protocol == PROTOCOL_ICMP:
            observation["kind"] = icmp_kind(dport)
            sport, dport = 0, 0
        if inside:
            observation["local"], observation["remote"] = src, dst
            observation["lport"], observation["rport"] = sport, dport
            observation["marks"] = OUTBOUND
        else:
            observation["local"], observation["remote"] = dst, src
            observation["lport"], observation["rport"] = dport, sport
            observation["marks"] = INBOUND | (0 if int64(flow["marks"]) & MARK_REVERSE else FORWARD_IN)
        if int64(flow["marks"]) & MARK_QUOTE and note_quote(flow, inside, local_first, local_last, out[n]):
            n += 1
    return n


@dataclass(slots=True)
class Counts:
    """Records by what became of them, in the order of the contract: the first reason that fits takes a record."""

    read: int = 0
    invalid: dict[str, int] = field(default_factory=dict)
    outside: int = 0
    own_probes: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    late: int = 0


@dataclass(slots=True)
class Gates:
    """Sorts batches of flow records, and counts what does not pass."""

    local: Intervals
    own: Intervals
    excluded: NDArray[np.bool_]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(VERDICTS, np.int64))
    invalid: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Invalid records by number of the exporter."""

    @classmethod
    def of(cls, local: Intervals, own: Intervals, exclude: tuple[str, ...]) -> "Gates":
        """Return the gates for a network, our own probes' sources, and the names of what is excluded."""
        return cls(local, own, np.array([name in exclude for name in EXCLUSIONS]))

    def passing(self, flows: Flows, digests: NDArray[np.uint32]) -> Observations:
        """Return the observations of a batch's records that count."""
        out = np.empty(2 * len(flows), OBSERVATION_DTYPE)
        self.invalid = np.concatenate((self.invalid, np.zeros(len(digests) - len(self.invalid), np.int64)))
        count = sort_out(
            flows, digests, self.local.first, self.local.last, self.own.first, self.own.last,
            self.excluded, out, self.counts, self.invalid,
        )  # fmt: skip
        return out[:count]

    def report(self) -> Counts:
        """Return the counts so far; duplicates and late records are found later."""
        numbers = self.counts.tolist()
        return Counts(
            read=sum(numbers),
            invalid={name: numbers[_INVALID + at] for at, name in enumerate(INVALID) if numbers[_INVALID + at]},
            outside=numbers[_OUTSIDE],
            own_probes=numbers[_OWN],
            excluded={name: numbers[_EXCLUDED + at] for at, name in enumerate(EXCLUSIONS) if numbers[_EXCLUDED + at]},
        )
