"""Domains of exporters: the templates that each has announced, and the data sets that wait for one, within bounds."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from liveness.flows.record import Notes
from liveness.flows.templates import Template

MOST_TEMPLATES: Final = 4096
"""Templates that one domain may announce; the oldest go."""
MOST_DOMAINS: Final = 4096
MOST_FIELDS: Final = 1 << 19
"""Fields of all templates of all domains together; beyond them the oldest of the announcing domain go."""
MOST_WAITING_BYTES: Final = 4 << 20
"""Bytes of data sets that wait for templates, all domains together."""
WAITING_SET_BYTES: Final = 256
"""Memory of a waiting data set in addition to its content."""
_SEQUENCE: Final = 1 << 32
_RESTART: Final = 1 << 16
"""A sequence number that is further off than this means a restart, not a loss."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A data set that waits for its template, with the time of its message and the start of the exporter."""

    content: bytes
    now_ns: int
    boot_ns: int

    @property
    def bytes(self) -> int:
        """The memory that it takes."""
        return len(self.content) + WAITING_SET_BYTES


@dataclass(slots=True)
class Domain:
    """What one exporter's observation domain (v9: source id, v5: engine) has announced so far."""

    exporter: int
    templates: "OrderedDict[int, Template]" = field(default_factory=OrderedDict)
    waiting: dict[int, list[Waiting]] = field(default_factory=dict)
    """Data sets without a template yet, by their set id."""
    fields: int = 0
    """Of all its templates."""
    sampling: int = 0
    boot_ns: int = 0
    next_sequence: int | None = None
    missing: int = 0

    def keep(self, number: int, template: Template) -> None:
        """Keep a template, in place of one of the same number; the oldest goes where there are too many."""
        self.forget(number)
        self.templates[number] = template
        self.fields += len(template.fields)
        if len(self.templates) > MOST_TEMPLATES:
            self.forget(next(iter(self.templates)))

    def forget(self, number: int) -> None:
        """Forget a template, if there is one of that number."""
        template = self.templates.pop(number, None)
        if template is not None:
            self.fields -= len(template.fields)

    def follow(self, sequence: int, count: int) -> None:
        """Count what is missing before this sequence number; the message has `count` of what the numbers count.

        Steps back count against it: datagrams change places on the way, and some exporters (softflowd) state the number
        of the message's last record instead of its first, so that messages of several sizes seem to lose and find.
        """
        if self.next_sequence is not None:
            gap = (sequence - self.next_sequence + _SEQUENCE // 2) % _SEQUENCE - _SEQUENCE // 2
            if abs(gap) < _RESTART:
                self.missing += gap
        self.next_sequence = (sequence + count) % _SEQUENCE


class Domains:
    """The domains of all exporters. The bounds hold for all of them together; beyond these the oldest go."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.known: dict[tuple[str, int, int], Domain] = {}
        """By exporter's address, version and domain."""
        self.waiting_bytes = 0
        """Memory of all data sets that wait for a template."""
        self.fields = 0
        """Of the templates of all domains."""
        self._lost_before = 0
        """Missing of domains that are forgotten."""

    @property
    def lost(self) -> int:
        """Flows (v5), datagrams (v9) and records (IPFIX) that sequence numbers show to be missing."""
        return self._lost_before + sum(max(0, domain.missing) for domain in self.known.values())

    def of(self, exporter: str, version: int, number: int) -> Domain:
        """Return a domain of an exporter, a new one if need be; the oldest goes where there are too many."""
        key = (exporter, version, number)
        domain = self.known.get(key)
        if domain is None:
            if len(self.known) >= MOST_DOMAINS:
                self._forget_oldest()
            domain = Domain(self.notes.exporter(f"{exporter}/{number}" if number else exporter))
            self.known[key] = domain
        return domain

    def _forget_oldest(self, but: Domain | None = None) -> None:
        """Forget the domain that came first, or the one after it."""
        domain = self.known.pop(next(key for key, domain in self.known.items() if domain is not but))
        self._give_up_waiting(domain)
        self.fields -= domain.fields
        self._lost_before += max(0, domain.missing)

    def keep(self, domain: Domain, number: int, template: Template) -> list[Waiting]:
        """Keep a template within the bounds; return the data sets that have waited for it."""
        before = domain.fields
        domain.keep(number, template)
        self.fields += domain.fields - before
        while self.fields > MOST_FIELDS:
            if len(domain.templates) == 1:
                self._forget_oldest(but=domain)
                continue
            before = domain.fields
            domain.forget(next(iter(domain.templates)))
            self.fields += domain.fields - before
        found = domain.waiting.pop(number, [])
        self.waiting_bytes -= sum(waiting.bytes for waiting in found)
        return found

    def withdraw(self, domain: Domain, number: int) -> None:
        """Forget a template."""
        before = domain.fields
        domain.forget(number)
        self.fields += domain.fields - before

    def withdraw_all(self, domain: Domain, *, options: bool) -> None:
        """Forget all templates of flows, or of options."""
        for number in [number for number, template in domain.templates.items() if template.options == options]:
            self.withdraw(domain, number)

    def wait(self, domain: Domain, set_id: int, waiting: Waiting) -> None:
        """Let a data set wait for its template, or count it as undecoded where too many wait."""
        if self.waiting_bytes + waiting.bytes > MOST_WAITING_BYTES:
            self.notes.undecoded["data sets without template"] += 1
        else:
            domain.waiting.setdefault(set_id, []).append(waiting)
            self.waiting_bytes += waiting.bytes

    def give_up_waiting(self) -> None:
        """Count what still waits for a template as undecoded."""
        for domain in self.known.values():
            self._give_up_waiting(domain)

    def _give_up_waiting(self, domain: Domain) -> None:
        for sets in domain.waiting.values():
            self.notes.undecoded["data sets without template"] += len(sets)
            self.waiting_bytes -= sum(waiting.bytes for waiting in sets)
        domain.waiting.clear()
