"""Names of IP protocols in tables of flows, with their numbers."""

from typing import Final

PROTOCOLS: Final = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "ospf": 89,
    "pim": 103, "vrrp": 112, "sctp": 132, "udplite": 136,
    "ipnip": 4, "ipv6": 41, "rtp": 17, "rtcp": 17, "udt": 17,
}  # fmt: skip
"""The last line has those that ra names in its own way: what it takes for RTP, RTCP or UDT is UDP."""
