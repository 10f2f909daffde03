"""What a strict receiver finds in a frame: a probe, a packet of the scanner's own kernel, or the first thing wrong."""

from enum import IntEnum


class Verdict(IntEnum):
    """What a frame is. The number is its place in counters, the label its name in files."""

    PROBE = 0
    OWN_RESET = 1  # the scanner's kernel knows nothing of the connection that a SYN-ACK answers
    OWN_ERROR = 2  # nor of the port that a datagram comes to
    TRUNCATED = 3  # captured in part, or shorter than its headers
    NOT_IPV4 = 4
    IP_HEADER = 5  # version, a header of another length than 20 bytes, TTL 0
    IP_LENGTH = 6  # says more than came, or less without being Ethernet padding
    IP_CHECKSUM = 7
    FRAGMENT = 8  # or the reserved flag (RFC 791)
    SOURCE_ADDRESS = 9  # none that a host can have
    PROTOCOL = 10
    TCP_HEADER = 11  # data offset, reserved bits, port 0
    TCP_CHECKSUM = 12
    TCP_FLAGS = 13  # other than SYN alone
    TCP_FIELDS = 14  # a SYN that acknowledges, is urgent, offers no window or carries data
    TCP_OPTIONS = 15  # a kind or length that is not as in RFC 9293 or 7323
    UDP_LENGTH = 16
    UDP_CHECKSUM = 17  # wrong, or none although IPv4 allows that
    UDP_PORT = 18  # of no probe, or source port 0
    DNS_QUERY = 19  # no standard query with one question and nothing behind it (RFC 1035)
    NTP_PACKET = 20  # no client packet of 48 bytes, version 3 or 4 (RFC 5905)
    ICMP_CHECKSUM = 21
    ICMP_TYPE = 22  # no echo request, or code other than 0
    TRIAL = 23  # EtherType 0x88B5, of local experiments: by it a scanner proves its transport, and nobody answers
    UDP_REQUEST = 24  # not what a correct scanner sends to this port

    @property
    def label(self) -> str:
        """The name in files, e.g. ``tcp-checksum``."""
        return self.name.lower().replace("_", "-")

    @property
    def malformed(self) -> bool:
        """Whether no correct scanner sends such a frame."""
        return self > Verdict.OWN_ERROR and self != Verdict.TRIAL
