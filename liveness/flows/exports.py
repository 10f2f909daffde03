"""Decoder of flow export datagrams: NetFlow v5, v9 and IPFIX, with the templates of each exporter.

Templates belong to an exporter and its domain. Data that comes before its template waits, within bounds. Sequence
numbers show how much was lost on the way: v5 counts flows, v9 datagrams, IPFIX records.
"""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows import elements as el
from liveness.flows import netflow5, templates
from liveness.flows.domains import Domain, Domains, Waiting
from liveness.flows.record import Flows, Notes, empty
from liveness.flows.templates import Template

V9: Final = 9
IPFIX: Final = 10
V9_HEADER: Final = ">HHIIII"
V9_HEADER_BYTES: Final = 20
IPFIX_HEADER: Final = ">HHIII"
IPFIX_HEADER_BYTES: Final = 16
SET_HEADER_BYTES: Final = 4
TEMPLATE_HEADER_BYTES: Final = 4
SCOPE_BYTES: Final = 2
FIRST_DATA_SET: Final = 256
V9_TEMPLATES, V9_OPTIONS, IPFIX_TEMPLATES, IPFIX_OPTIONS = 0, 1, 2, 3

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000


class Exports:
    """Decodes datagrams one after another; flows are taken out in batches."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.domains = Domains(notes)
        self.datagrams = 0
        self._out = empty(1 << 15)
        """Flows that are ready: the first `_counts[WRITTEN]` rows."""
        self._counts = np.zeros(templates.COUNTS, np.int64)

    @property
    def ready(self) -> int:
        """Flows that can be taken out."""
        return int(self._counts[templates.WRITTEN])

    @property
    def lost(self) -> int:
        """Flows (v5), datagrams (v9) and records (IPFIX) that sequence numbers show to be missing."""
        return self.domains.lost

    def take(self) -> Flows:
        """Return all flows that are ready."""
        flows = self._out[: self.ready].copy()
        self._counts[templates.WRITTEN] = 0
        return flows

    def _make_room(self, count: int) -> None:
        """Have room for so many flows more."""
        if self.ready + count > len(self._out):
            larger = empty(2 * (self.ready + count))
            larger[: self.ready] = self._out[: self.ready]
            self._out = larger

    def finish(self) -> None:
        """Count what still waits for a template as undecoded."""
        self.domains.give_up_waiting()

    def rest(self) -> Iterator[Flows]:
        """Finish, note what sequence numbers show to be missing, and yield the last flows if there are any."""
        self.finish()
        if self.lost:
            self.notes.undecoded["missing by sequence numbers"] += self.lost
        if self.ready:
            yield self.take()

    def feed(self, datagram: bytes, exporter: str) -> bool:
        """Decode a datagram, or one message of a file, that came from `exporter`; return whether it is an export."""
        if len(datagram) < 2:
            return False
        version = int.from_bytes(datagram[:2], "big")
        if version == netflow5.VERSION and self._v5(datagram, exporter):
            self.datagrams += 1
            return True
        if version == V9 and len(datagram) >= V9_HEADER_BYTES:
            self._v9(datagram, exporter)
        elif version == IPFIX and len(datagram) >= IPFIX_HEADER_BYTES:
            self._ipfix(datagram, exporter)
        else:
            return False
        self.datagrams += 1
        return True

    def _v5(self, datagram: bytes, exporter: str) -> bool:
        if len(datagram) < netflow5.HEADER_BYTES:
            return False
        _, count, _, _, _, sequence, engine, _ = struct.unpack_from(netflow5.HEADER, datagram)
        whole = (len(datagram) - netflow5.HEADER_BYTES) // netflow5.RECORD_BYTES
        if count > netflow5.MOST_RECORDS or count == 0:
            return False
        if whole < count:
            self.notes.undecoded["datagrams cut short"] += 1
        domain = self.domains.of(exporter, netflow5.VERSION, engine)
        domain.follow(sequence, count)
        self._make_room(count)
        data = np.frombuffer(datagram, np.uint8)
        first = self.ready
        netflow5.decode(data, min(count, whole), domain.exporter, self._out, first)
        self._counts[templates.WRITTEN] = first + min(count, whole)
        return True

    def _v9(self, datagram: bytes, exporter: str) -> None:
        _, _, uptime_ms, unix_s, sequence, source = struct.unpack_from(V9_HEADER, datagram)
        domain = self.domains.of(exporter, V9, source)
        domain.follow(sequence, 1)
        now_ns = unix_s * _NS_PER_S
        domain.boot_ns = now_ns - uptime_ms * _NS_PER_MS
        self._sets(domain, datagram, V9_HEADER_BYTES, now_ns, V9)

    def _ipfix(self, datagram: bytes, exporter: str) -> None:
        _, length, unix_s, sequence, number = struct.unpack_from(IPFIX_HEADER, datagram)
        domain = self.domains.of(exporter, IPFIX, number)
        if length != len(datagram):
            self.notes.undecoded["messages with a wrong length"] += 1
        records = self._sets(domain, datagram[:length], IPFIX_HEADER_BYTES, unix_s * _NS_PER_S, IPFIX)
        if records is None:  # not every data set could be counted
            domain.next_sequence = None
        else:
            domain.follow(sequence, records)

    def _sets(self, domain: Domain, datagram: bytes, at: int, now_ns: int, version: int) -> int | None:
        """Decode a message's sets; return how many data records they hold, None if that cannot be known."""
        records: int | None = 0
        data = np.frombuffer(datagram, np.uint8)
        while len(datagram) - at >= SET_HEADER_BYTES:
            set_id, length = struct.unpack_from(">HH", datagram, at)
            if length < SET_HEADER_BYTES or length > len(datagram) - at:
                self.notes.undecoded["sets with a wrong length"] += 1
                return None
            content = datagram[at + SET_HEADER_BYTES : at + length] if set_id < FIRST_DATA_SET else b""
            if set_id in (V9_TEMPLATES, IPFIX_TEMPLATES) and (set_id == IPFIX_TEMPLATES) == (version == IPFIX):
                self._learn(domain, content, version, options=False)
            elif set_id in (V9_OPTIONS, IPFIX_OPTIONS) and (set_id == IPFIX_OPTIONS) == (version == IPFIX):
                self._learn(domain, content, version, options=True)
            elif set_id >= FIRST_DATA_SET:
                found = self._data(domain, set_id, data[at + SET_HEADER_BYTES : at + length], now_ns)
                records = None if records is None or found is None else records + found
            else:
                self.notes.undecoded[f"sets of type {set_id}"] += 1
            at += length
        return records

    def _learn(self, domain: Domain, content: bytes, version: int, *, options: bool) -> None:
        """Take over the templates of a set: of flows, or of options that describe the exporter."""
        at = 0
        while len(content) - at >= TEMPLATE_HEADER_BYTES:
            number, count = struct.unpack_from(">HH", content, at)
            at += TEMPLATE_HEADER_BYTES
            if version == IPFIX and count == 0:  # withdrawn (RFC 7011, 8.1): one, or by the set's own number all
                self._withdraw(domain, number, options=options)
                continue
            if number < FIRST_DATA_SET:
                return  # padding
            scopes = 0
            if options:
                if len(content) - at < SCOPE_BYTES:
                    return
                (second,) = struct.unpack_from(">H", content, at)
                at += SCOPE_BYTES
                # v9 has the bytes of scopes and of options, IPFIX the number of all fields and of scopes
                count, scopes = (count, second) if version == IPFIX else ((count + second) // 4, count // 4)
            if count == 0:
                continue
            parsed = None
            if count <= templates.MOST_FIELDS:
                parsed = templates.parse_fields(content, at, count, enterprises=version == IPFIX)
            if parsed is None:
                self.notes.undecoded["templates that are damaged or too long"] += 1
                return
            fields, at = parsed
            if version == V9:  # its scope types are no information elements
                fields = [(0, 0, width) for _, _, width in fields[:scopes]] + fields[scopes:]
            self.keep(domain, number, templates.make_template(fields, max(scopes, 1) if options else 0))

    def _withdraw(self, domain: Domain, number: int, *, options: bool) -> None:
        """Forget a template; the number of the set itself withdraws all templates of that kind."""
        if number == (IPFIX_OPTIONS if options else IPFIX_TEMPLATES):
            self.domains.withdraw_all(domain, options=options)
        else:
            self.domains.withdraw(domain, number)

    def keep(self, domain: Domain, number: int, template: Template | None) -> None:
        """Keep a template, and decode the data that waits for it."""
        if template is None:
            self.notes.undecoded["templates without fields"] += 1
            return
        for waiting in self.domains.keep(domain, number, template):
            self._decode(domain, template, np.frombuffer(waiting.content, np.uint8), waiting.now_ns, waiting.boot_ns)

    def _data(self, domain: Domain, set_id: int, data: NDArray[np.uint8], now_ns: int) -> int | None:
        """Decode a data set, or let it wait for its template; return its number of records if it is known."""
        template = domain.templates.get(set_id)
        if template is not None:
            return self._decode(domain, template, data, now_ns, domain.boot_ns)
        self.domains.wait(domain, set_id, Waiting(data.tobytes(), now_ns, domain.boot_ns))
        return None

    def _decode(self, domain: Domain, template: Template, data: NDArray[np.uint8], now_ns: int, boot_ns: int) -> int:
        """Decode a data set by its template; return its number of records."""
        if template.options:
            return self._options(domain, template, data.tobytes())
        self._make_room(2 * (len(data) // max(template.shortest_bytes, templates.SHORTEST_FLOW_BYTES)))
        counts = self._counts
        counts[templates.IPV6 :] = 0
        templates.decode_set(
            data,
            template.widths,
            template.columns,
            now_ns,
            boot_ns,
            domain.exporter,
            domain.sampling,
            self._out,
            counts,
        )
        for place, reason in ((templates.IPV6, "IPv6 records"), (templates.NO_ADDRESSES, "records without addresses")):
            if counts[place]:
                self.notes.undecoded[reason] += int(counts[place])
        return int(counts[templates.RECORDS])

    def _options(self, domain: Domain, template: Template, content: bytes) -> int:
        """Take what options say of the exporter: how it samples, when it was started; return how many there were."""
        at = records = 0
        while len(content) - at >= template.shortest_bytes:
            found: dict[int, int] = {}
            for element, enterprise, width in template.fields:
                size, at = _width(content, at) if width == templates.VARIABLE else (width, at)
                if enterprise == 0:
                    found[element] = int.from_bytes(content[at : at + size], "big")
                at += size
            records += 1
            interval = next((found[number] for number in el.SAMPLING_ELEMENTS if found.get(number)), 0)
            if el.SAMPLING_SPACE in found and interval:
                interval = (interval + found[el.SAMPLING_SPACE]) // interval
            if interval:
                domain.sampling = min(interval, 2**32 - 1)
            if el.SYSTEM_INIT in found:
                domain.boot_ns = min(found[el.SYSTEM_INIT], 2**43) * _NS_PER_MS
        return records


def _width(content: bytes, at: int) -> tuple[int, int]:
    """Return a variable field's length and where the field begins (RFC 7011, 7)."""
    width = content[at] if at < len(content) else 0
    if width == templates.LONG:
        return int.from_bytes(content[at + 1 : at + 3], "big"), at + 3
    return width, at + 1
