"""Packets: bytes, headers, checksums, parsing, receive blocks and capture files."""
