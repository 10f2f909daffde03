"""Where the fields of Ethernet, IPv4, TCP, UDP and ICMP headers lie, and the numbers in them.

Offsets are in bytes from the start of the header they belong to (RFC 791, 792, 768, 9293; IEEE 802.1Q).
"""

ETHERNET_LENGTH = 14
ETHERTYPE_OFFSET = 12
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_QINQ = 0x88A8
VLAN_TAG_LENGTH = 4
MAX_VLAN_TAGS = 2

IPV4_VERSION = 4
IPV6_VERSION = 6
IPV4_MIN_LENGTH = 20
IPV4_TOTAL_LENGTH = 2
IPV4_ID = 4
IPV4_FRAGMENT = 6
IPV4_TTL = 8
IPV4_PROTOCOL = 9
IPV4_CHECKSUM = 10
IPV4_SOURCE = 12
IPV4_DESTINATION = 16
IPV4_OFFSET_MASK = 0x1FFF
IPV4_MORE_FRAGMENTS = 0x2000

PROTOCOL_ICMP = 1
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17

TCP_MIN_LENGTH = 20
TCP_SEQUENCE = 4
TCP_ACKNOWLEDGMENT = 8
TCP_DATA_OFFSET = 12
TCP_FLAGS = 13
TCP_WINDOW = 14
TCP_CHECKSUM = 16
TCP_FLAG_FIN = 0x01
TCP_FLAG_SYN = 0x02
TCP_FLAG_RST = 0x04
TCP_FLAG_PSH = 0x08
TCP_FLAG_ACK = 0x10

UDP_LENGTH = 8
UDP_LENGTH_FIELD = 4
UDP_CHECKSUM = 6

ICMP_LENGTH = 8
ICMP_CHECKSUM = 2
ICMP_ID = 4
ICMP_SEQUENCE = 6
ICMP_ECHO_REPLY = 0
ICMP_UNREACHABLE = 3
ICMP_SOURCE_QUENCH = 4
ICMP_REDIRECT = 5
ICMP_ECHO_REQUEST = 8
ICMP_TIME_EXCEEDED = 11
ICMP_PARAMETER_PROBLEM = 12

QUOTE_MIN_LENGTH = 8
"""What RFC 792 promises of a quoted packet behind its IP header: ports and sequence number, or an echo's id and seq."""

ETHERNET_OVERHEAD = 7 + 1 + 4 + 12
"""Bytes around each frame on the wire (IEEE 802.3): preamble, start of frame, frame check sequence, gap to the next."""
ETHERNET_MIN_LENGTH = 60
"""Shorter frames are padded to this, without their check sequence."""


def bits_on_wire(frame_bytes: int) -> int:
    """Return the bit times of a frame, its header included and its check sequence not, as ZMap's `-B` counts them."""
    return 8 * (max(ETHERNET_MIN_LENGTH, frame_bytes) + ETHERNET_OVERHEAD)
