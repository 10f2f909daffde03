"""Cells of ICMP echo: replies of the target and of others, whole, cut short and altered, and messages that are none."""

from typing import Any

from scapy.layers.inet import ICMP
from scapy.packet import Raw

from tests.golden.cells import Table, altered
from tests.golden.sent import ROUTER, SENT_NS, STRANGER, Sent

OTHER_TYPES = (1, 2, 6, 8, 9, 10, 13, 14, 15, 16, 17, 18, 30, 40, 42, 43, 255)


def echo(sent: Sent, payload: bytes | None = None, id_xor: int = 0, seq_add: int = 0) -> Any:  # noqa: ANN401 - scapy
    """Return an echo reply, with the request's payload unless told otherwise."""
    identifier, number = sent.cookie.echo(sent.attempt)
    content = sent.echo_payload if payload is None else payload
    return ICMP(type=0, code=0, id=identifier ^ id_xor, seq=(number + seq_add) % 2**16) / Raw(content)


def echo_cells() -> Table:
    """Return the table of ICMP echo."""
    table = Table()
    for attempt in range(2):
        sent = Sent("icmp", attempt)
        for source, whose in ((None, "its target"), (ROUTER, "another address"), (STRANGER, "an address not probed")):
            packet = table.packet(sent, echo(sent), source)
            rtt_ns = table.time_ns - SENT_NS
            seen = {"icmp.type": "0", "icmp.seq": str(sent.cookie.echo(attempt)[1])}
            name = f"echo reply of attempt {attempt} from {whose}"
            table.accepted(name, packet, sent, "echo-reply", rtt_ns=rtt_ns, tshark=seen)
    _cut_short(table)
    _altered(table)
    sent = Sent("icmp")
    for icmp_type in OTHER_TYPES:
        times: dict[str, Any] = {"ts_ori": 1, "ts_rx": 2, "ts_tx": 3} if icmp_type in (13, 14) else {}
        packet = table.packet(sent, ICMP(type=icmp_type, code=0, **times) / Raw(sent.quoted()))
        table.rejected(f"ICMP type {icmp_type}", packet, "other-icmp-type", tshark={"icmp.type": str(icmp_type)})
    packet = table.packet(sent, Raw(bytes(echo(sent))[:7]), proto=1)
    table.rejected("ICMP message of 7 bytes", packet, "bad-length", tshark={"ip.len": "27"})
    return table


def _cut_short(table: Table) -> None:
    sent = Sent("icmp", 1)
    for keep in (0, 1, 8, 11, 12, 19):
        packet = table.packet(sent, echo(sent, sent.echo_payload[:keep]))
        name = f"echo reply with {keep} bytes of payload"
        table.accepted(name, packet, sent, "echo-reply", tshark={"ip.len": str(28 + keep)})
        packet = table.packet(sent, echo(sent, sent.echo_payload[:keep]), ROUTER)
        name += " from another address"
        if keep < 12:
            table.rejected(name, packet, "bad-cookie", tshark={"ip.len": str(28 + keep)})
        else:
            table.accepted(name, packet, sent, "echo-reply", tshark={"ip.len": str(28 + keep)})
    packet = table.packet(sent, echo(sent, sent.echo_payload[:20]))
    rtt_ns = table.time_ns - SENT_NS
    table.accepted("echo reply with 20 bytes of payload", packet, sent, "echo-reply", rtt_ns=rtt_ns)


def _altered(table: Table) -> None:
    sent = Sent("icmp")
    for at, what in ((0, "hash"), (9, "target")):
        payload = altered(sent.echo_payload, at, b"\x5a")
        packet = table.packet(sent, echo(sent, payload))
        table.accepted(f"echo reply with another {what} in its payload", packet, sent, "echo-reply")
        packet = table.packet(sent, echo(sent, payload), ROUTER)
        table.rejected(f"echo reply with another {what} in its payload from another address", packet, "bad-cookie")
    times = (("in the future", SENT_NS + 3_600_000_000_000), ("too long ago", SENT_NS - 3_700_000_000_000))
    for what, time_ns in (*times, ("that is no time", -1)):
        payload = altered(sent.echo_payload, 12, (time_ns % 2**64).to_bytes(8, "big"))
        table.accepted(
            f"echo reply to a request sent {what}", table.packet(sent, echo(sent, payload)), sent, "echo-reply"
        )
    packet = table.packet(sent, echo(sent, id_xor=1))
    table.rejected("echo reply with another identifier", packet, "bad-cookie")
    for attempt in (-1, 2, 0x8000):
        packet = table.packet(sent, echo(sent, seq_add=attempt))
        table.rejected(f"echo reply of sequence number {attempt:+}", packet, "bad-cookie")
    stray = Sent("icmp", target=STRANGER)
    table.rejected("echo reply of an address that was not probed", table.packet(stray, echo(stray)), "unprobed-address")
