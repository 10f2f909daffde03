"""Verdicts of the strict receiver: a probe, a packet of the scanner's own kernel, or the first fault of a frame."""

from enum import IntEnum


class Verdict(IntEnum):
    """Verdict on a frame. The number is its index in counters, the label its name in files."""

    PROBE = 0
    OWN_RESET = 1  # the scanner's kernel does not know the connection that a SYN-ACK belongs to
    OWN_ERROR = 2  # nor the port to which a datagram was sent
    TRUNCATED = 3  # captured in part, or shorter than its headers
    NOT_IPV4 = 4
    IP_HEADER = 5  # version other than 4, header length other than 20 bytes, TTL 0
    IP_LENGTH = 6  # longer than the captured packet, or shorter by more than Ethernet padding
    IP_CHECKSUM = 7
    FRAGMENT = 8  # a fragment, or the reserved flag is set (RFC 791)
    SOURCE_ADDRESS = 9  # an address that no host can have
    PROTOCOL = 10
    TCP_HEADER = 11  # data offset, reserved bits, port 0
    TCP_CHECKSUM = 12
    TCP_FLAGS = 13  # other flags than SYN alone
    TCP_FIELDS = 14  # a SYN with acknowledgment number, urgent pointer, zero window or data
    TCP_OPTIONS = 15  # a kind or length not allowed by RFC 9293 or 7323
    UDP_LENGTH = 16
    UDP_CHECKSUM = 17  # wrong, or absent although IPv4 allows that
    UDP_PORT = 18  # port of no probe, or source port 0
    DNS_QUERY = 19  # not a standard query with exactly one question (RFC 1035)
    NTP_PACKET = 20  # not a client packet of 48 bytes, version 3 or 4 (RFC 5905)
    ICMP_CHECKSUM = 21
    ICMP_TYPE = 22  # not an echo request, or code other than 0
    TRIAL = 23  # EtherType 0x88B5 (local experiments): a scanner tests its transport with it; not answered
    UDP_REQUEST = 24  # not what a correct scanner sends to this port
    TALK = 25  # an acknowledgment of a SYN-ACK, with what a client of the port's protocol sends first
    TALK_NUMBERS = 26  # it has no sequence or acknowledgment number of a connection that was opened
    TALK_REQUEST = 27  # its data is not what a client of the port's protocol sends, or nobody talks on this port
    TALK_WINDOW = 28  # it was sent although the SYN-ACK had a window of zero

    @property
    def label(self) -> str:
        """The name in files, e.g. ``tcp-checksum``."""
        return self.name.lower().replace("_", "-")

    @property
    def malformed(self) -> bool:
        """Whether no correct scanner sends such a frame."""
        return self > Verdict.OWN_ERROR and self not in (Verdict.TRIAL, Verdict.TALK)
