"""FlowTuple files as fastavro writes them."""

import io
from typing import Any

import fastavro

LONGS = ("time", "src_ip", "dst_ip", "packet_cnt", "prefix2asn")
STRINGS = ("maxmind_continent", "maxmind_country", "netacq_continent", "netacq_country")
NAMES = (
    "time", "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "ttl", "tcp_flags", "ip_len", "tcp_synlen",
    "tcp_synwinlen", "packet_cnt", "is_spoofed", "is_masscan", *STRINGS, "prefix2asn",
)  # fmt: skip
SCHEMA = {
    "type": "record",
    "namespace": "org.caida.corsaro",
    "name": "flowtuple",
    "fields": [
        {"name": name, "type": "string" if name in STRINGS else "long" if name in LONGS else "int"} for name in NAMES
    ],
}
"""The nineteen fields of corsaro3's libcorsaro_flowtuple.h."""


def tuple_of(**values: object) -> dict[str, Any]:
    """Return a record with these values; others are small numbers and unknown places."""
    return {**{name: "??" if name in STRINGS else 1 for name in NAMES}, **values}


def written(records: list[dict[str, Any]], codec: str = "null", schema: object = SCHEMA) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, schema, records, codec=codec, sync_interval=300)  # type: ignore[arg-type]
    return out.getvalue()
