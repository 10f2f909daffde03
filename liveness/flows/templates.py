"""Templates of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011), and the kernel that turns a data set into flows by one."""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows import elements as el
from liveness.flows.record import MARK_REVERSE, PROTOCOL_ICMP, Flow, Flows, icmp_answer
from liveness.kernel import int64, kernel

VARIABLE: Final = 0xFFFF
ADDRESS_BYTES: Final = 4
SHORTEST_FLOW_BYTES: Final = 2 * ADDRESS_BYTES
"""A data record of fewer bytes becomes no flow."""
LONG: Final = 255
MOST_FIELDS: Final = 1024
"""A template of more fields is refused: a datagram of 64 KiB holds 16,383 at most, exporters use some 30."""
_ENTERPRISE_BIT: Final = 0x8000
_NTP_EPOCH_S: Final = 2_208_988_800
_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000

WRITTEN, IPV6, NO_ADDRESSES, RECORDS = range(4)
COUNTS: Final = 4
"""Places in what decoding a data set counts: flows written, records passed over by reason, records in all."""


@dataclass(frozen=True, slots=True)
class Template:
    """How the records of a data set are laid out: for each field its width in bytes (VARIABLE) and its column."""

    widths: NDArray[np.int64]
    columns: NDArray[np.int64]
    shortest_bytes: int
    scope_fields: int
    """Fields of an options template that say what the others are about; 0 for records of flows."""
    fields: tuple[tuple[int, int, int], ...]
    """(element, enterprise, width) of each field."""

    @property
    def options(self) -> bool:
        """Return whether records describe the exporter instead of flows."""
        return self.scope_fields > 0


def make_template(fields: list[tuple[int, int, int]], scope_fields: int = 0) -> Template | None:
    """Return the template of (element, enterprise, width) fields; None if records of it would be empty.

    Fields without a width are left out: any number of them would take time and no bytes. An address has four
    bytes, so that no record of less than eight becomes a flow.
    """
    if scope_fields:
        scope_fields = max(1, scope_fields - sum(width == 0 for _, _, width in fields[:scope_fields]))
    fields = [field for field in fields if field[2]]
    widths = np.array([width for _, _, width in fields], np.int64)
    columns = np.array([el.column_of(element, enterprise) for element, enterprise, _ in fields], np.int64)
    columns[((columns == el.SRC) | (columns == el.DST)) & (widths != ADDRESS_BYTES)] = el.IGNORED
    shortest = int(np.where(widths == VARIABLE, 1, widths).sum())
    if not fields:
        return None
    return Template(widths, columns, shortest, scope_fields, tuple(fields))


def parse_fields(
    data: bytes, at: int, count: int, *, enterprises: bool
) -> tuple[list[tuple[int, int, int]], int] | None:
    """Return `count` (element, enterprise, width) fields from byte `at` on, and where they end; None if cut short."""
    fields = []
    for _ in range(count):
        if len(data) - at < 4:
            return None
        element, width = struct.unpack_from(">HH", data, at)
        at += 4
        enterprise = 0
        if enterprises and element & _ENTERPRISE_BIT:
            if len(data) - at < 4:
                return None
            (enterprise,) = struct.unpack_from(">I", data, at)
            at += 4
            element &= ~_ENTERPRISE_BIT
        fields.append((element, enterprise, width))
    return fields, at


@kernel
def _number(data: NDArray[np.uint8], at: int, width: int) -> int:
    """Return a big-endian number; of one longer than eight bytes the last eight."""
    value = int64(0)
    for i in range(max(0, width - 8), width):
        value = int64(value << 8) | int64(data[at + i])
    return value


@kernel
def _ntp_ns(stamp: int) -> int:
    """Return an NTP time stamp (RFC 7011, 6.1.9 and 6.1.10) as ns since the epoch."""
    seconds = (stamp >> 32) & 0xFFFFFFFF
    return (seconds - _NTP_EPOCH_S) * _NS_PER_S + (((stamp & 0xFFFFFFFF) * _NS_PER_S) >> 32)


@kernel
def _time_ns(  # noqa: PLR0911 - one kind of time after the other
    values: NDArray[np.int64], present: NDArray[np.bool_], first: int, header_ns: int, boot_ns: int
) -> int:
    """Return the time that a record's elements give, in ns; -1 if it has none.

    `first` is 0 for the start's columns and 1 for the end's, which follow each other.
    """
    if present[el.START_NS + first]:
        return _ntp_ns(values[el.START_NS + first])
    if present[el.START_US + first]:
        return _ntp_ns(values[el.START_US + first])
    if present[el.START_MS + first]:
        return int64(values[el.START_MS + first] * _NS_PER_MS)
    if present[el.START_DELTA_US + first]:
        return int64(header_ns - values[el.START_DELTA_US + first] * 1000)
    if present[el.START_UPTIME + first]:
        boot = int64(values[el.UPTIME_EPOCH_MS] * _NS_PER_MS) if present[el.UPTIME_EPOCH_MS] else boot_ns
        at_ns = boot + values[el.START_UPTIME + first] * _NS_PER_MS
        if boot_ns == boot and at_ns > header_ns + (_NS_PER_MS << 31):  # the uptime has wrapped since
            at_ns -= _NS_PER_MS << 32
        return int64(at_ns)
    if present[el.START_S + first]:
        return int64(values[el.START_S + first] * _NS_PER_S)
    return -1


@kernel
def _read_record(
    data: NDArray[np.uint8],
    at: int,
    widths: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.int64],
    present: NDArray[np.bool_],
) -> int:
    """Read the record at byte `at` into columns; return where it ends, or `at` if it is not there whole."""
    end = len(data)
    for column in range(el.COLUMNS):
        values[column] = 0
        present[column] = False
    field_at = at
    for field in range(len(widths)):
        width = widths[field]
        if width == VARIABLE:
            if field_at >= end:
                return at
            width = int64(data[field_at])
            field_at += 1
            if width == LONG:
                if end - field_at < 2:
                    return at
                width = int64(data[field_at]) << 8 | int64(data[field_at + 1])
                field_at += 2
        if end - field_at < width:
            return at
        column = columns[field]
        if column != el.IGNORED:
            value = _number(data, field_at, width)
            if not present[column] or value != 0:  # TCP's ports and UDP's may both be there, one of them zero
                values[column] = value
            present[column] = True
        field_at += width
    return field_at


@kernel
def _put_forward(
    values: NDArray[np.int64], present: NDArray[np.bool_], header_ns: int, boot_ns: int, sampling: int, flow: Flow
) -> None:
    """Write a record's flow, but for its exporter."""
    flow["src"], flow["dst"] = values[el.SRC], values[el.DST]
    flow["sport"], flow["dport"] = values[el.SPORT], values[el.DPORT]
    flow["protocol"] = values[el.PROTOCOL]
    flow["flags"] = values[el.FLAGS] & 255
    flow["packets"] = values[el.PACKETS] if present[el.PACKETS] else values[el.TOTAL_PACKETS]
    flow["bytes"] = values[el.BYTES] if present[el.BYTES] else values[el.TOTAL_BYTES]
    flow["input"], flow["output"] = values[el.INPUT] & 0xFFFFFFFF, values[el.OUTPUT] & 0xFFFFFFFF
    flow["first_flags"], flow["marks"] = 0, 0
    flow["sampling"] = values[el.SAMPLING] if present[el.SAMPLING] else sampling
    if values[el.PROTOCOL] == PROTOCOL_ICMP:
        if present[el.ICMP]:
            flow["sport"], flow["dport"] = 0, values[el.ICMP]
        elif present[el.ICMP_TYPE]:
            flow["sport"], flow["dport"] = 0, values[el.ICMP_TYPE] << 8 | values[el.ICMP_CODE]
    start_ns = _time_ns(values, present, 0, header_ns, boot_ns)
    end_ns = _time_ns(values, present, 1, header_ns, boot_ns)
    if start_ns < 0 and end_ns >= 0 and present[el.DURATION_MS]:
        start_ns = end_ns - values[el.DURATION_MS] * _NS_PER_MS
    if end_ns < 0 and start_ns >= 0 and present[el.DURATION_MS]:
        end_ns = start_ns + values[el.DURATION_MS] * _NS_PER_MS
    if start_ns < 0:
        start_ns = header_ns if end_ns < 0 else end_ns
    flow["start_ns"], flow["end_ns"] = start_ns, start_ns if end_ns < 0 else end_ns


@kernel
def _put_back(values: NDArray[np.int64], flow: Flow, back: Flow) -> None:
    """Write the flow of the opposite direction of a record whose own one is written."""
    back["src"], back["dst"] = flow["dst"], flow["src"]
    back["sport"], back["dport"] = flow["dport"], flow["sport"]
    if values[el.PROTOCOL] == PROTOCOL_ICMP:
        back["sport"], back["dport"] = 0, icmp_answer(int64(flow["dport"]))
    back["protocol"] = flow["protocol"]
    back["flags"] = values[el.BACK_FLAGS] & 255
    back["packets"], back["bytes"] = values[el.BACK_PACKETS], values[el.BACK_BYTES]
    back["input"], back["output"] = flow["output"], flow["input"]
    back["exporter"], back["sampling"] = flow["exporter"], flow["sampling"]
    back["start_ns"], back["end_ns"] = flow["start_ns"], flow["end_ns"]
    back["first_flags"], back["marks"] = 0, MARK_REVERSE


@kernel
def decode_set(
    data: NDArray[np.uint8],
    widths: NDArray[np.int64],
    columns: NDArray[np.int64],
    header_ns: int,
    boot_ns: int,
    exporter: int,
    sampling: int,
    out: Flows,
    counts: NDArray[np.int64],
) -> None:
    """Write the flows of the data set in `data` to `out` from row counts[WRITTEN] on, with room for two a record.

    `boot_ns` is the exporter's start by the message's header (v9), or as its options say. A record that does not end
    within the set is padding.
    """
    values = np.zeros(el.COLUMNS, np.int64)
    present = np.zeros(el.COLUMNS, np.bool_)
    at = 0
    n = int64(counts[WRITTEN])
    while at < len(data):
        end = _read_record(data, at, widths, columns, values, present)
        if end == at:
            break
        at = end
        counts[RECORDS] += 1
        if not (present[el.SRC] and present[el.DST]):
            counts[IPV6 if present[el.IPV6] else NO_ADDRESSES] += 1
            continue
        _put_forward(values, present, header_ns, boot_ns, sampling, out[n])
        out[n]["exporter"] = exporter
        n += 1
        if values[el.BACK_PACKETS] > 0:
            _put_back(values, out[n - 1], out[n])
            n += 1
    counts[WRITTEN] = n
