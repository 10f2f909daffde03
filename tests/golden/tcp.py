"""Cells of TCP: SYN-ACKs, resets, and segments that answer nothing."""

from typing import Any

from scapy.layers.inet import TCP
from scapy.packet import Raw

from tests.golden.cells import Table
from tests.golden.sent import STRANGER, Sent

FLAG_FIELDS = {"F": "fin", "S": "syn", "R": "reset", "P": "push", "A": "ack", "U": "urg", "E": "ece", "C": "cwr"}


def segment(sent: Sent, flags: str, acks: int = 1, **fields: Any) -> Any:  # noqa: ANN401 - scapy
    """Return a segment that acknowledges the probe's sequence number + `acks`."""
    numbers = {"seq": 0x12345678, "ack": (sent.sequence + acks) % 2**32, "window": 1000 + 3 * len(flags)}
    return TCP(**{"sport": sent.port, "dport": sent.source_port, "flags": flags, **numbers, **fields})


def tshark_flags(flags: str) -> dict[str, str]:
    """Return what tshark must see: each of the eight flags set or not."""
    return {f"tcp.flags.{field}": "1" if letter in flags else "0" for letter, field in FLAG_FIELDS.items()}


def _syn_acks(table: Table) -> None:
    for number, extra in enumerate(("", "E", "C", "P", "U", "F", "EC", "PU", "FPUEC")):
        sent = Sent("tcp/443", attempt=number % 2)
        packet = table.packet(sent, segment(sent, "SA" + extra))
        table.accepted(f"SYN-ACK {extra}".strip(), packet, sent, "syn-ack", tshark=tshark_flags("SA" + extra))
    sent = Sent("tcp/22", attempt=1)
    table.accepted("SYN-ACK, AE", table.packet(sent, segment(sent, "SAN")), sent, "syn-ack", tshark=tshark_flags("SA"))
    options = [("MSS", 1400), ("SAckOK", b""), ("Timestamp", (9, 1)), ("NOP", None), ("WScale", 7)]
    packet = table.packet(sent, segment(sent, "SA", options=options))
    table.accepted("SYN-ACK with options", packet, sent, "syn-ack", tshark={"tcp.options.mss_val": "1400"})
    packet = table.packet(sent, segment(sent, "SA", window=0) / Raw(b"220 hello\r\n"))
    table.accepted("SYN-ACK, window 0, with a payload", packet, sent, "syn-ack", tshark={"tcp.len": "11"})
    packet = table.packet(sent, segment(sent, "SA", window=65535))
    table.accepted("SYN-ACK, window 65535", packet, sent, "syn-ack", tshark={"tcp.window_size_value": "65535"})
    sent = Sent("tcp/control")
    table.accepted("SYN-ACK of the tarpit control", table.packet(sent, segment(sent, "SA")), sent, "syn-ack")
    sent = Sent("tcp/80")
    for acks in (0, 2, -1, 2**31):
        packet = table.packet(sent, segment(sent, "SA", acks))
        table.rejected(f"SYN-ACK of sequence {acks:+}", packet, "bad-cookie", tshark=tshark_flags("SA"))
    table.rejected("SYN-ACK to another port", table.packet(sent, segment(sent, "SA", dport=40000)), "bad-port")
    table.rejected("SYN-ACK from another port", table.packet(sent, segment(sent, "SA", sport=8080)), "unprobed-port")
    table.rejected("SYN-ACK from another address", table.packet(sent, segment(sent, "SA"), "198.51.100.9"), "bad-port")
    stray = Sent("tcp/80", target=STRANGER)
    packet = table.packet(stray, segment(stray, "SA"))
    table.rejected("SYN-ACK of an address that was not probed", packet, "unprobed-address")


def _resets(table: Table) -> None:
    for number, extra in enumerate(("", "S", "F", "P", "U", "E", "C", "SFPUEC")):
        for acks in (0, 1):
            sent = Sent("tcp/80", attempt=(number + acks) % 2)
            packet = table.packet(sent, segment(sent, "RA" + extra, acks))
            name = f"RST-ACK {extra} of sequence +{acks}".replace("  ", " ")
            table.accepted(name, packet, sent, "rst", tshark=tshark_flags("RA" + extra))
    sent = Sent("tcp/22", attempt=1)
    packet = table.packet(sent, segment(sent, "RA") / Raw(b"go away"))
    table.accepted("RST-ACK with a payload", packet, sent, "rst", tshark={"tcp.len": "7"})
    for acks in (2, -1, 2**31):
        packet = table.packet(sent, segment(sent, "RA", acks))
        table.rejected(f"RST-ACK of sequence {acks:+}", packet, "bad-cookie", tshark=tshark_flags("RA"))
    packet = table.packet(sent, segment(sent, "RA", ack=0))
    table.rejected("RST-ACK of 0", packet, "bad-cookie", tshark={"tcp.ack_raw": "0"})
    for number, extra in enumerate(("", "S", "F", "P", "SFPUEC")):
        sent = Sent("tcp/443", attempt=number % 2)
        packet = table.packet(sent, segment(sent, "R" + extra, ack=number * 99))
        name = f"RST {extra} without ACK".replace("  ", " ")
        table.accepted(name, packet, sent, "rst", tier="weak", tshark=tshark_flags("R" + extra))
    packet = table.packet(sent, segment(sent, "R", ack=0) / Raw(b"reset by firewall"))
    table.accepted("RST without ACK, with a payload", packet, sent, "rst", tier="weak", tshark={"tcp.len": "17"})
    packet = table.packet(sent, segment(sent, "R", dport=40001))
    table.rejected("RST without ACK to another port", packet, "bad-port", tshark=tshark_flags("R"))


def _others(table: Table) -> None:
    sent = Sent("tcp/443")
    for extra in ("", "P", "F", "U", "E", "FPUEC"):
        name = f"challenge ACK {extra}".strip()
        table.rejected(
            name, table.packet(sent, segment(sent, "A" + extra)), "challenge-ack", tshark=tshark_flags("A" + extra)
        )
    for flags in ("", "S", "F", "SF", "P", "FPU", "EC", "SEC"):
        packet = table.packet(sent, segment(sent, flags))
        table.rejected(f"segment with flags {flags or 'none'}", packet, "other-tcp-flags", tshark=tshark_flags(flags))
    for words in (0, 4, 6, 15):
        packet = table.packet(sent, segment(sent, "SA", dataofs=words))
        table.rejected(f"SYN-ACK with a header of {words} words", packet, "bad-length", tshark={"ip.proto": "6"})
    packet = table.packet(sent, Raw(bytes(segment(sent, "SA"))[:19]), proto=6)
    table.rejected("SYN-ACK cut to 19 bytes", packet, "bad-length", tshark={"ip.len": "39"})


def tcp_cells() -> Table:
    """Return the table of TCP."""
    table = Table()
    _syn_acks(table)
    _resets(table)
    _others(table)
    return table
