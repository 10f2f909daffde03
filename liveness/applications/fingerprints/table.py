"""The table of protocols by the first bytes that their servers send, at once or in reply to a GET or a ClientHello.

The first protocol that fits counts. Its place here is its number in spools and segments of a run: new ones are added at
the end. Facts are from the documents named, and nothing is copied from other tables of fingerprints.
"""

from typing import Final

from liveness.applications.fingerprints.conditions import (
    Among,
    Bytes,
    Counts,
    Holds,
    Length,
    Printable,
    Protocol,
    Text,
    begins,
    line,
)

UNKNOWN: Final = "unknown"
"""The name in counts of what no fingerprint knows."""

_CLIENT_HELLO, _SERVER_HELLO = b"\1", b"\2"

PROTOCOLS: Final = (
    # What a client sends comes back: not a server of that protocol.
    Protocol(
        "echo",
        "RFC 862",
        (*begins(b"GET / HTTP/1.1\r\n"), (Bytes(0, b"\x16\3"), Bytes(5, _CLIENT_HELLO))),
    ),
    Protocol(
        "http",
        "RFC 9112, section 4; RFC 1945, section 3.1 (HTML without a status line)",
        (*begins(b"HTTP/1.", b"HTTP/0.9"), (Text(0, b"<!doctype html"),), (Text(0, b"<html"),)),
    ),
    Protocol("http2", "RFC 9113, sections 3.4 and 6.5", ((Bytes(3, b"\4\0\0\0\0\0"), Counts(0, 3, 9)),)),
    Protocol(
        "tls",
        "RFC 8446, sections 4.1.3, 5.1 and 6 (ServerHello, alert)",
        (
            (Bytes(0, b"\x15\3"), Among(2, 0, 4), Bytes(3, b"\0\2")),
            (Bytes(0, b"\x16\3"), Among(2, 0, 4), Among(3, 0, 0x48), Bytes(5, _SERVER_HELLO)),
        ),
    ),
    Protocol("ssh", "RFC 4253, section 4.2", (*begins(b"SSH-"), (Printable(64), Holds(b"\nSSH-2.0-")))),
    Protocol("rtsp", "RFC 7826, section 8.1", begins(b"RTSP/1.0 ", b"RTSP/2.0 ")),
    Protocol("sip", "RFC 3261, section 7.2", begins(b"SIP/2.0 ")),
    Protocol(
        "ftp",
        "RFC 959, section 4.2",
        (line(b"220", holds=b"ftp"), line(b"421", holds=b"ftp"), *begins(b"530 ")),
    ),
    Protocol(
        "smtp",
        "RFC 5321, sections 3.1 and 4.2",
        tuple(line(code, holds=word) for code in (b"220", b"421", b"554") for word in (b"smtp", b"mail")),
    ),
    Protocol("dict", "RFC 2229, section 3.1", (line(b"220", holds=b"dict"),)),
    Protocol(
        "nntp",
        "RFC 3977, section 5.1",
        tuple(line(code, holds=word) for code in (b"200", b"201", b"400", b"502") for word in (b"nntp", b"news")),
    ),
    Protocol("pop3", "RFC 1939, section 4", begins(b"+OK ", b"+OK\r\n")),
    Protocol("imap", "RFC 9051, section 7.1", begins(b"* OK", b"* PREAUTH", b"* BYE")),
    Protocol("managesieve", "RFC 5804, section 1.7", ((Text(0, b'"IMPLEMENTATION" "'),),)),
    Protocol(
        "irc",
        "RFC 2812, sections 3.3.2, 3.7.4 and 5.2",
        (
            *begins(b"NOTICE AUTH ", b"NOTICE * ", b"ERROR :"),
            (Bytes(0, b":"), Printable(64), Holds(b" NOTICE ")),
            (Bytes(0, b":"), Printable(64), Holds(b" 451 ")),
        ),
    ),
    Protocol("xmpp", "RFC 6120, section 4.2", ((Bytes(0, b"<"), Holds(b"<stream:")),)),
    Protocol("rfb", "RFC 6143, section 7.1.1", ((Bytes(0, b"RFB "), Among(4, 0x30, 0x39), Bytes(7, b".")),)),
    Protocol(
        "rdp",
        "MS-RDPBCGR, section 2.2.1.2",
        ((Bytes(0, b"\3\0\0\x13\x0e\xd0"), Among(11, 2, 3), Length(19, 19)),),
    ),
    Protocol(
        "iso-tsap",
        "RFC 1006, section 6; RFC 905, section 13",
        tuple((Bytes(0, b"\3\0"), Counts(2, 2), Among(5, code, code)) for code in (0x70, 0x80, 0xD0, 0xF0)),
    ),
    Protocol("pptp", "RFC 2637, section 1.4", ((Counts(0, 2), Bytes(4, b"\x1a\x2b\x3c\x4d")),)),
    Protocol(
        "smb",
        "MS-CIFS, section 2.2.3.1; MS-SMB2, section 2.2.1",
        ((Bytes(0, b"\0"), Bytes(4, b"\xffSMB")), (Bytes(0, b"\0"), Bytes(4, b"\xfeSMB"))),
    ),
    Protocol(
        "netbios",
        "RFC 1002, sections 4.3.3 and 4.3.4",
        (
            (Bytes(0, b"\x82\0\0\0"), Length(4, 4)),
            (Bytes(0, b"\x83\0\0\1"), Among(4, 0x80, 0x8F), Length(5, 5)),
        ),
    ),
    Protocol(
        "mysql",
        "MySQL internals, Protocol::HandshakeV10 and ERR_Packet",
        (
            (Counts(0, 3, 4, "little"), Bytes(3, b"\0\x0a"), Among(5, 0x30, 0x39)),
            *((Counts(0, 3, 4, "little"), Bytes(3, b"\0\xff" + code)) for code in (b"\x10\4", b"\x69\4", b"\x6a\4")),
        ),
    ),
    Protocol(
        "postgresql",
        "PostgreSQL, message formats: ErrorResponse",
        (
            (Counts(1, 4, 1), Bytes(0, b"E"), Bytes(5, b"SFATAL\0")),
            (Counts(1, 4, 1), Bytes(0, b"E"), Bytes(5, b"SERROR\0")),
            (Bytes(0, b"EFATAL:  "),),
        ),
    ),
    Protocol("tds", "MS-TDS, section 2.2.3.1", ((Bytes(0, b"\4\1"), Counts(2, 2, exact=True), Bytes(7, b"\0")),)),
    Protocol(
        "redis",
        "Redis serialization protocol: simple errors",
        begins(
            b"-ERR unknown command",
            b"-ERR wrong number of arguments",
            b"-ERR Protocol error",
            b"-NOAUTH ",
            b"-DENIED ",
            b"-LOADING ",
        ),
    ),
    Protocol(
        "memcached",
        "memcached, protocol.txt: error strings",
        ((Bytes(0, b"ERROR\r\n"),), *begins(b"CLIENT_ERROR ", b"SERVER_ERROR ")),
    ),
    Protocol("beanstalkd", "beanstalkd, protocol.txt", begins(b"UNKNOWN_COMMAND\r\n", b"BAD_FORMAT\r\n")),
    Protocol("stomp", "STOMP 1.2: frames", begins(b"ERROR\nmessage:", b"ERROR\ncontent-", b"ERROR\n\n")),
    Protocol("nats", "NATS client protocol: INFO", ((Text(0, b"INFO {"),),)),
    Protocol(
        "mongodb",
        "MongoDB wire protocol: message header",
        tuple((Counts(0, 4, 0, "little", exact=True), Bytes(12, code)) for code in (b"\1\0\0\0", b"\xdd\7\0\0")),
    ),
    Protocol(
        "cassandra",
        "CQL binary protocol v4, sections 2 and 9",
        ((Among(0, 0x83, 0x86), Bytes(4, b"\0"), Counts(5, 4, 9), Bytes(9, b"\0\0\0\x0a")),),
    ),
    Protocol(
        "ldap",
        "RFC 4511, section 4.4.1 (notice of disconnection)",
        (
            (Bytes(0, b"\x30"), Counts(1, 1, 2), Bytes(2, b"\2\1\0\x78")),
            (Bytes(0, b"\x30\x81"), Counts(2, 1, 3), Bytes(3, b"\2\1\0\x78")),
            (Bytes(0, b"\x30\x84"), Counts(2, 4, 6), Bytes(6, b"\2\1\0\x78")),
        ),
    ),
    Protocol("amqp", "AMQP 1.0, section 2.2; AMQP 0-9-1, section 4.2.2", ((Bytes(0, b"AMQP"), Among(4, 0, 3)),)),
    Protocol(
        "mqtt",
        "MQTT 3.1.1, section 3.2",
        ((Bytes(0, b"\x20\2"), Among(2, 0, 1), Among(3, 0, 5), Length(4, 4)),),
    ),
    Protocol("rsync", "rsync, csprotocol.txt", begins(b"@RSYNCD: ", b"@ERROR: ")),
    Protocol("svn", "Subversion, ra_svn protocol, section 2", begins(b"( success ( ")),
    Protocol(
        "x11",
        "X Window System protocol, section 8 (connection refused)",
        ((Bytes(0, b"\0"), Bytes(2, b"\0\x0b\0\0")), (Bytes(0, b"\0"), Bytes(2, b"\x0b\0\0\0"))),
    ),
    Protocol("bgp", "RFC 4271, section 4.1", ((Bytes(0, b"\xff" * 16), Counts(16, 2), Among(18, 1, 4)),)),
    Protocol("giop", "CORBA 3.3, part 2, section 9.4.1", ((Bytes(0, b"GIOP\1"), Among(5, 0, 3), Among(7, 0, 7)),)),
    Protocol(
        "ajp", "Tomcat, AJPv13: packets from the container", ((Bytes(0, b"AB"), Counts(2, 2, 4), Among(4, 3, 9)),)
    ),
    Protocol("nbd", "NBD, proto.md: handshake", begins(b"NBDMAGIC")),
    Protocol("zabbix", "Zabbix manual: header and data length", begins(b"ZBXD\1", b"ZBXD\3", b"ZBXD\5")),
    Protocol("munin", "Munin guide: network protocol", begins(b"# munin node at ")),
    Protocol("mpd", "MPD protocol: protocol overview", begins(b"OK MPD ")),
    Protocol("gpsd", "gpsd, gpsd_json(5): VERSION", begins(b'{"class":"VERSION"')),
    Protocol("asterisk", "Asterisk documentation: AMI, protocol overview", begins(b"Asterisk Call Manager/")),
    Protocol(
        "chargen",
        "RFC 864",
        (*begins(b" !\"#$%&'()*+,-./"), *begins(b"!\"#$%&'()*+,-./0")),
    ),
    Protocol(
        "dns",
        "RFC 1035, sections 4.1.1 and 4.2.2",
        (
            (
                *(Counts(0, 2, 2, exact=True), Length(14, 1 << 16)),
                *(Among(4, 0x80, 0x87), Bytes(6, b"\0"), Among(7, 0, 1)),
            ),
        ),
    ),
    Protocol(
        "telnet",
        "RFC 854; prompts as telnetd(8) prints them",
        (
            (Bytes(0, b"\xff"), Among(1, 0xFB, 0xFE)),
            (Bytes(0, b"\xff\xfa"),),
            *((Printable(64), Holds(word)) for word in (b"login:", b"username:", b"password:")),
        ),
    ),
)

NAMES: Final = (UNKNOWN, *(protocol.name for protocol in PROTOCOLS))
"""Names by number: 0 is no known protocol."""
