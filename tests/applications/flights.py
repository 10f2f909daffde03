"""First flights of servers: what their documents print, or what these say that a server sends, put together here."""

import struct
from typing import Final


def _mysql(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def _handshake(kind: int, body: bytes) -> bytes:
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + struct.pack(">H", len(message)) + message


_GREETING: Final = (
    b"\x0a8.0.36\0" + struct.pack("<I", 42) + b"abcdefgh\0" + b"\xff\xf7\x08\x02\0\xff\xc1\x15" + bytes(10) + b"i" * 13
)
_SERVER_HELLO: Final = b"\3\3" + bytes(range(32)) + b"\0\x13\x01\0" + struct.pack(">H", 6) + b"\0\x2b\0\2\3\4"
_FATAL: Final = b"SFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol\0\0"
_NOTICE: Final = b"\2\1\0\x78\x1c\x0a\1\2\4\0\4\0\x8a\x131.3.6.1.4.1.1466.20"
_TOO_BIG: Final = b"\0\0\0\x0a\0\x1aInvalid or unsupported ver"
_DNS: Final = b"\x12\x34\x81\x80\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1"
_MESSAGE: Final = b"\0\0\0\0\0" + b"\x05\0\0\0\0"  # flags, a section with an empty document

FLIGHTS: Final[dict[str, tuple[bytes, ...]]] = {
    "echo": (
        b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
        b"\x16\x03\x01\0\xf2\1\0\0\xee\3\3" + bytes(32),
    ),
    "http": (
        b"HTTP/1.1 200 OK\r\nDate: Mon, 27 Jul 2009 12:28:53 GMT\r\nServer: Apache\r\n\r\n",  # RFC 9110, section 6.6.1
        b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="a"\r\n\r\n',
        b"<HTML><HEAD><TITLE>login: password:</TITLE>",
        b"<!DOCTYPE html>\n<html>",
    ),
    "http2": (b"\0\0\x0c\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0",),  # SETTINGS: streams 128, window 65,536
    "tls": (
        _handshake(2, _SERVER_HELLO),
        b"\x15\x03\x01\0\2\2\x46",  # fatal, protocol_version (RFC 8446, section 6)
        b"\x15\x03\x03\0\2\2\x28",
    ),
    "ssh": (
        b"SSH-2.0-billsSSH_3.6.3q3\r\n",  # RFC 4253, section 4.2
        b"SSH-1.99-OpenSSH_3.9p1\n",
        b"Welcome to this machine\r\nSSH-2.0-x\r\n",
    ),
    "rtsp": (b"RTSP/2.0 200 OK\r\nCSeq: 2\r\n", b"RTSP/1.0 400 Bad Request\r\n\r\n"),
    "sip": (b"SIP/2.0 400 Bad Request\r\n\r\n",),
    "ftp": (
        b"220 (vsFTPd 3.0.3)\r\n",
        b"220 ProFTPD Server (Debian) [::ffff:192.0.2.1]\r\n",
        b"220-Welcome\r\n220 to this FTP server\r\n",
        b"530 Please login with USER and PASS.\r\n",
    ),
    "smtp": (
        b"220 foo.com Simple Mail Transfer Service Ready\r\n",  # RFC 5321, appendix D.1
        b"220 mx.example ESMTP Postfix\r\n",
        b"554 mx.example ESMTP not accepting messages\r\n",
    ),
    "dict": (b"220 dict.org dictd (version 0.9) <27831.860032493@dict.org>\r\n",),  # RFC 2229, section 5.1
    "nntp": (
        b"200 NNTP Service Ready, posting permitted\r\n",  # RFC 3977, section 5.1.3
        b"201 news.example InterNetNews NNRP server ready (no posting)\r\n",
        b"502 NNTP Service permanently unavailable\r\n",
    ),
    "pop3": (b"+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n",),  # RFC 1939, section 7
    "imap": (
        b"* OK IMAP4rev1 Service Ready\r\n",  # RFC 3501, section 8
        b"* PREAUTH IMAP4rev2 server logged in as Smith\r\n",  # RFC 9051, section 7.1.4
        b"* BYE Autologout; idle for too long\r\n",
    ),
    "managesieve": (b'"IMPLEMENTATION" "Example1 ManageSieved v001"\r\n',),  # RFC 5804, section 1.7
    "irc": (
        b"NOTICE AUTH :*** Looking up your hostname...\r\n",
        b":irc.example NOTICE * :*** Checking Ident\r\n",
        b":irc.example 451 * GET :You have not registered\r\n",
        b"ERROR :Closing Link: 192.0.2.1 (Bad command)\r\n",
    ),
    "xmpp": (
        b"<?xml version='1.0'?><stream:stream from='im.example.com' id='++TR84Sm6A3hnt3Q065SnAbbk3Y='",  # RFC 6120, 9.1
        b"<stream:error><invalid-xml/></stream:error>",
    ),
    "rfb": (b"RFB 003.008\n", b"RFB 003.003\n"),  # RFC 6143, section 7.1.1
    "rdp": (b"\3\0\0\x13\x0e\xd0\0\0\x12\x34\0\2\x0f\x08\0\2\0\0\0",),  # MS-RDPBCGR, section 4.1.2
    "iso-tsap": (b"\3\0\0\x0b\6\xd0\0\0\x12\x34\0", b"\3\0\0\x0b\6\x80\0\0\0\0\1"),
    "pptp": (struct.pack(">HHIHH", 16, 1, 0x1A2B3C4D, 4, 0) + bytes(4),),
    "smb": (b"\0\0\0\x23\xffSMB\x72" + bytes(30), b"\0\0\0\x44\xfeSMB\x40\0" + bytes(62)),
    "netbios": (b"\x82\0\0\0", b"\x83\0\0\1\x82"),  # RFC 1002, sections 4.3.3 and 4.3.4
    "mysql": (
        _mysql(0, _GREETING),
        _mysql(0, _GREETING.replace(b"8.0.36", b"5.5.5-10.11.6-MariaDB")),
        _mysql(0, b"\xff\x6a\4Host '192.0.2.1' is not allowed to connect to this MySQL server"),
        _mysql(0, b"\xff\x69\4Host '192.0.2.1' is blocked because of many connection errors"),
        _mysql(0, b"\xff\x10\4Too many connections"),
    ),
    "postgresql": (
        b"E" + struct.pack(">I", len(_FATAL) + 4) + _FATAL,
        b"EFATAL:  unsupported frontend protocol 18245.21536: server supports 2.0 to 3.0\n\0",
    ),
    "tds": (b"\4\1\0\x25\0\0\1\0" + bytes(29),),
    "redis": (
        b"-ERR unknown command 'GET'\r\n",
        b"-ERR wrong number of arguments for 'get' command\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-DENIED Redis is running in protected mode\r\n",
    ),
    "memcached": (b"ERROR\r\n", b"CLIENT_ERROR bad command line format\r\n"),
    "beanstalkd": (b"UNKNOWN_COMMAND\r\n",),
    "stomp": (b"ERROR\nmessage:malformed frame received\n\n\0", b"ERROR\ncontent-type:text/plain\n\n\0"),
    "nats": (b'INFO {"server_id":"Zk0GQ3","version":"2.10.0","max_payload":1048576} \r\n',),
    "mongodb": (
        struct.pack("<IIII", 16 + len(_MESSAGE), 7, 0, 2013) + _MESSAGE,
        struct.pack("<IIII", 36, 7, 0, 1) + bytes(20),
    ),
    "cassandra": (b"\x84\0\0\0\0" + struct.pack(">I", len(_TOO_BIG)) + _TOO_BIG,),
    "ldap": (
        b"\x30" + bytes([len(_NOTICE)]) + _NOTICE,
        b"\x30\x84" + struct.pack(">I", len(_NOTICE)) + _NOTICE,
        b"\x30\x81" + bytes([len(_NOTICE)]) + _NOTICE,
    ),
    "amqp": (b"AMQP\0\0\x09\1", b"AMQP\0\1\0\0"),
    "mqtt": (b"\x20\2\0\1",),
    "rsync": (b"@RSYNCD: 31.0\n",),
    "svn": (b"( success ( 2 2 ( ) ( edit-pipeline svndiff1 ) ) ) ",),
    "x11": (b"\0\x16\0\x0b\0\0\0\6No protocol specified\n\0\0", b"\0\x16\x0b\0\0\0\6\0No protocol specified\n\0\0"),
    "bgp": (b"\xff" * 16 + b"\0\x1d\1\4\xfd\xe8\0\xb4\xc0\0\2\1\0", b"\xff" * 16 + b"\0\x15\3\1\2"),
    "giop": (b"GIOP\1\0\0\6\0\0\0\0", b"GIOP\1\2\1\6\0\0\0\0"),
    "ajp": (b"AB\0\2\5\1", b"AB\0\1\x09"),
    "nbd": (b"NBDMAGICIHAVEOPT\0\3",),
    "zabbix": (b"ZBXD\1\x11\0\0\0\0\0\0\0ZBX_NOTSUPPORTED\0",),
    "munin": (b"# munin node at host.example\n",),
    "mpd": (b"OK MPD 0.23.5\n",),
    "gpsd": (b'{"class":"VERSION","release":"3.22","proto_major":3}\r\n',),
    "asterisk": (b"Asterisk Call Manager/5.0.2\r\n",),
    "chargen": (b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n",),  # RFC 864
    "dns": (struct.pack(">H", len(_DNS)) + _DNS,),
    "telnet": (
        b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27",  # DO TERMINAL-TYPE, TSPEED, XDISPLOC, NEW-ENVIRON
        b"\xff\xfb\1",  # RFC 857: IAC WILL ECHO
        b"\r\nDebian GNU/Linux 12\r\nhost login: ",
        b"\r\nUser Access Verification\r\n\r\nUsername: ",
    ),
}

NO_PROTOCOL: Final = (
    *(b"", b"\xff", b"\0", b"S", b"220 ", b"220 ready\r\n", b"hello\r\n", b"\x16\x03", b"SSH", b"+", b"ERROR"),
    *(bytes(1460), b"\xff" * 1460, bytes(range(1, 5)) * 100, b"x" * 300 + b"login: "),
)
"""Data that no fingerprint may take for its own."""
