"""The information elements (IANA IPFIX registry; the first 127 are NetFlow v9's) that records are made of."""

from typing import Final

REVERSE_ENTERPRISE: Final = 29305
"""Elements of the opposite direction, RFC 5103."""

(
    BYTES, PACKETS, PROTOCOL, FLAGS, SPORT, DPORT, SRC, DST, INPUT, OUTPUT, ICMP, ICMP_TYPE, ICMP_CODE,
    START_UPTIME, END_UPTIME, START_S, END_S, START_MS, END_MS, START_US, END_US, START_NS, END_NS,
    START_DELTA_US, END_DELTA_US, BACK_BYTES, BACK_PACKETS, BACK_FLAGS, TOTAL_BYTES, TOTAL_PACKETS, IPV6,
    SAMPLING, UPTIME_EPOCH_MS, DURATION_MS,
) = range(34)  # fmt: skip
"""Columns: what a record's element is kept as while the record is put together."""
COLUMNS: Final = 34
IGNORED: Final = -1

COLUMN_OF: Final = {
    1: BYTES, 85: TOTAL_BYTES, 2: PACKETS, 86: TOTAL_PACKETS, 4: PROTOCOL, 6: FLAGS, 7: SPORT, 11: DPORT,
    8: SRC, 12: DST, 27: IPV6, 28: IPV6, 10: INPUT, 14: OUTPUT, 32: ICMP, 139: ICMP, 176: ICMP_TYPE, 177: ICMP_CODE,
    22: START_UPTIME, 21: END_UPTIME, 150: START_S, 151: END_S, 152: START_MS, 153: END_MS, 154: START_US, 155: END_US,
    156: START_NS, 157: END_NS, 158: START_DELTA_US, 159: END_DELTA_US, 160: UPTIME_EPOCH_MS, 161: DURATION_MS,
    180: SPORT, 182: SPORT, 181: DPORT, 183: DPORT,  # of UDP and of TCP
    231: BYTES, 232: BACK_BYTES, 298: PACKETS, 299: BACK_PACKETS,  # of initiator and responder
    34: SAMPLING, 50: SAMPLING,
}  # fmt: skip
REVERSE_COLUMN_OF: Final = {
    1: BACK_BYTES, 2: BACK_PACKETS, 6: BACK_FLAGS, 85: BACK_BYTES, 86: BACK_PACKETS,
}  # fmt: skip

SAMPLING_ELEMENTS: Final = (34, 50, 305)
"""An interval, 1 of so many, in options: samplingInterval, samplerRandomInterval, samplingPacketInterval."""
SAMPLING_SPACE: Final = 306
"""samplingPacketSpace: with 305, of interval + space packets so many as interval are taken."""
SYSTEM_INIT: Final = 160


def column_of(element: int, enterprise: int) -> int:
    """Return the column that an element goes into, IGNORED for one that records do not need."""
    if enterprise == 0:
        return COLUMN_OF.get(element, IGNORED)
    if enterprise == REVERSE_ENTERPRISE:
        return REVERSE_COLUMN_OF.get(element, IGNORED)
    return IGNORED
