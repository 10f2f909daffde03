"""Checks of a config beyond its types: names that exist, values that fit each other."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from liveness.applications.registry import ENTRIES
from liveness.config.model import Config, Delivery
from liveness.config.probe_names import MAX_PROBES, names_of
from liveness.replies import CONTROL
from liveness.space.addresses import format_address, parse_entry

VARIABLE = re.compile(r"\$\{\w+[^}]*\}|\$\(\w|\$[A-Z_]{2,}\b|\{\{ ?\w+ ?\}\}|%\(\w+\)s")
"""Variables of shells and templates: unexpanded, they would be sent in every packet."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
INTERFACE = re.compile(r"[^\s/:]{1,15}")
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")

MIN_PORTS_PER_ATTEMPT = 64
"""The source port carries part of the cookie: with fewer ports an attempt's replies could be guessed."""
MAX_CONTACT_BYTES = 200
"""It is in the payload of every echo request, which should stay a small packet."""
MAX_SOURCES = 256
"""A /24. Each of them makes the kernel's filter of replies longer."""
SHORTEST_TALK_US, LONGEST_TALK_US = 1_500_000, 60_000_000
UNICAST_FIRST = 1 << 24
MULTICAST_FIRST = 224 << 24


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong value: its place, the value, and what was expected."""

    path: str
    value: object
    expected: str


def problems(config: Config) -> Iterator[Problem]:
    """Yield every value of a config that its type allows and that is wrong all the same."""
    if not NAME.fullmatch(config.name):
        yield Problem("$.name", config.name, "expected a folder name: letters, digits, '.', '_' and '-', at most 100")
    for name in ("contact", "output", "user", "name"):
        text = getattr(config, name)
        if VARIABLE.search(text):
            expected = (
                f"variables are not filled in: write the value, or set LIVENESS_{name.upper()} in the environment"
            )
            yield Problem(f"$.{name}", text, expected)
    yield from target_problems(config)
    yield from probe_problems(config.probes)
    yield from application_problems(config)
    yield from network_problems(config)
    if config.receive.capture == "xdp" and config.network.zero_copy == "require":
        expected = "expected 'packet' with network.zero_copy: require: an interface takes one XDP program"
        yield Problem("$.receive.capture", config.receive.capture, expected)
    if config.rate_limit is not None and config.rate_limit.auto:
        yield Problem("$.rate_limit", config.rate_limit, "expected a rate such as 100kpps or 10Mbps")
    if len(config.contact.encode()) > MAX_CONTACT_BYTES or not config.contact.isprintable():
        expected = f"expected at most {MAX_CONTACT_BYTES} bytes of printable text"
        yield Problem("$.contact", config.contact, expected)
    yield from notify_problems(config.notify)
    yield from path_problems(config)
    if not USER.fullmatch(config.user):
        yield Problem("$.user", config.user, "expected the name or the number of a user, or 'auto'")
    if config.share.group and not USER.fullmatch(config.share.group):
        yield Problem("$.share.group", config.share.group, "expected the name or the number of a group")
    yield from shard_problems(config)
    if config.limits.max_runtime is not None and config.limits.max_runtime.us == 0:
        yield Problem(
            "$.limits.max_runtime", config.limits.max_runtime, "expected a duration above 0s, or null for none"
        )


def path_problems(config: Config) -> Iterator[Problem]:
    """Yield names of files and directories that can be none."""
    if not config.output or "\0" in config.output:
        yield Problem("$.output", config.output, "expected a directory")
    if "\0" in config.then:
        yield Problem("$.then", config.then, "expected 'survey', or the name of a survey's config")


def shard_problems(config: Config) -> Iterator[Problem]:
    """Yield a shard that does not exist, and names that cannot be those of a vantage point and of a secret's file."""
    if config.shard.index >= config.shard.of:
        expected = f"expected a shard from 0 to {config.shard.of - 1}, because there are {config.shard.of}"
        yield Problem("$.shard.index", config.shard.index, expected)
    if config.vantage and not NAME.fullmatch(config.vantage):
        yield Problem("$.vantage", config.vantage, "expected a name: letters, digits, '.', '_' and '-', at most 100")
    if config.slot is not None and config.slot.us == 0:
        yield Problem("$.slot", config.slot, "expected a duration above 0s, or null for none")
    if "\0" in config.secret:
        yield Problem("$.secret", config.secret, "expected a file")


def notify_problems(notify: Delivery) -> Iterator[Problem]:
    """Yield a command that cannot be split into words, and a webhook that is no address of HTTP."""
    try:
        words = notify.words
    except ValueError as error:
        yield Problem("$.notify.command", notify.command, f"expected a command as in a shell: {str(error).lower()}")
    else:
        if words and not words[0]:
            yield Problem("$.notify.command", list(words), "expected a program first")
    if notify.webhook:
        try:
            parts = urlsplit(notify.webhook)
            sound = (
                parts.scheme in ("http", "https")
                and "@" not in parts.netloc
                and bool(parts.hostname)
                and (parts.port is None or parts.port > 0)
            )
        except ValueError:
            sound = False
        if not sound or not notify.webhook.isprintable() or " " in notify.webhook:
            yield Problem("$.notify.webhook", notify.webhook, "expected a URL such as https://example.org/hook")


def target_problems(config: Config) -> Iterator[Problem]:
    """Yield faults of the lists as lists; their entries are read with the targets."""
    if not config.targets.allow:
        yield Problem("$.targets.allow", [], "expected at least one prefix, range, address or file")
    if "-" in config.targets.opt_outs:
        yield Problem("$.targets.opt_outs", "-", "expected prefixes and files, which the scan can read again")
    if [*config.targets.allow, *config.targets.block].count("-") > 1:
        yield Problem("$.targets", "-", "expected standard input ('-') once at most: it can be read only once")


def probe_problems(probes: Sequence[str]) -> Iterator[Problem]:
    """Yield probes that do not exist or are listed twice, and a list too short or too long."""
    places: dict[str, int] = {}
    for index, name in enumerate(probes):
        path = f"$.probes[{index}]"
        if name == CONTROL:
            yield Problem(path, name, "the tarpit control is switched by 'control', it is no probe to list")
            continue
        try:
            names = names_of(name)
        except ValueError as error:
            yield Problem(path, name, str(error))
            continue
        for probe in names:
            if probe in places:
                which = "" if probe == name else f"{probe} "
                yield Problem(path, name, f"{which}stands twice: first in $.probes[{places[probe]}]")
            places.setdefault(probe, index)
    if not 1 <= max(len(probes), len(places)) <= MAX_PROBES:
        count = max(len(probes), len(places))
        yield Problem("$.probes", list(probes), f"expected 1 to {MAX_PROBES} probes, not {count}")


def application_problems(config: Config) -> Iterator[Problem]:
    """Yield applications whose probe is missing or that are listed twice, and limits of talks that allow none."""
    probes = {probe for name in config.probes for probe in _known_names(name)}
    for index, name in enumerate(config.applications):
        path = f"$.applications[{index}]"
        probe = next(entry.probe for entry in ENTRIES if entry.name == name)
        if name in config.applications[:index]:
            yield Problem(path, name, f"stands twice: first in $.applications[{config.applications.index(name)}]")
        elif probe not in probes:
            yield Problem(path, name, f"talks to services that answer {probe}, which is not among the probes: add it")
    if config.applications and config.tcp_options == "linux":
        yield Problem(
            "$.tcp_options",
            config.tcp_options,
            "expected windows, mss or none with applications: once a SYN has a timestamp, each segment needs one"
            " (RFC 7323), and those of talks have none",
        )
    if config.talk.first_bytes and not config.applications:
        yield Problem(
            "$.talk.first_bytes",
            config.talk.first_bytes,
            "only services that are talked to send data, and none are: name applications",
        )
    elif config.talk.first_bytes and config.replies not in ("parquet", "both"):
        yield Problem(
            "$.talk.first_bytes",
            config.talk.first_bytes,
            "the log of replies keeps them, and there is none: replies: parquet, or both",
        )
    if config.talk.rate.pps is None:
        yield Problem("$.talk.rate", config.talk.rate, "expected frames a second such as 20kpps")
    if not SHORTEST_TALK_US <= config.talk.wait.us <= LONGEST_TALK_US:
        yield Problem(
            "$.talk.wait", config.talk.wait, "expected a time from 1.5s to 1m, because requests are repeated after 1s"
        )


def _known_names(name: str) -> tuple[str, ...]:
    try:
        return names_of(name)
    except ValueError:  # reported as a problem of the probes
        return ()


def network_problems(config: Config) -> Iterator[Problem]:
    """Yield names and addresses that cannot be those of an interface, a source or a gateway."""
    network, attempts = config.network, config.retransmit.attempts
    if not INTERFACE.fullmatch(network.interface):
        yield Problem("$.network.interface", network.interface, "expected 'auto' or the name of an interface")
    yield from source_problems(network.source_addresses)
    if network.source_ports.width < MIN_PORTS_PER_ATTEMPT * attempts:
        expected = f"expected at least {MIN_PORTS_PER_ATTEMPT} ports for each of {attempts} attempts"
        yield Problem(
            "$.network.source_ports", network.source_ports, f"{expected}, not {network.source_ports.width} in all"
        )
    if network.arp_rate.pps is None:
        yield Problem("$.network.arp_rate", network.arp_rate, "expected requests a second such as 500pps")
    if network.gateway_mac != "auto" and not is_unicast_mac(network.gateway_mac):
        yield Problem(
            "$.network.gateway_mac", network.gateway_mac, "expected 'auto' or a MAC such as 02:00:5e:10:00:01"
        )


def source_problems(entries: Sequence[str]) -> Iterator[Problem]:
    """Yield source addresses, ranges and prefixes that packets cannot come from, that overlap or are too many."""
    seen: list[tuple[int, int, int]] = []
    total = 0
    for index, entry in enumerate(entries):
        path = f"$.network.source_addresses[{index}]"
        try:
            low, high = unicast_bounds(entry)
        except ValueError as error:
            yield Problem(path, entry, str(error))
            continue
        for other_low, other_high, other in seen:
            if low <= other_high and other_low <= high:
                shared = format_address(max(low, other_low))
                which = "" if low == high else f"{shared} "
                yield Problem(path, entry, f"{which}stands twice: first in $.network.source_addresses[{other}]")
        seen.append((low, high, index))
        total += high - low + 1
        if total > MAX_SOURCES:
            yield Problem(path, entry, f"makes {total:,} source addresses: expected at most {MAX_SOURCES} in all")


def unicast_bounds(text: str) -> tuple[int, int]:
    """Return the bounds of an address, range or prefix that packets can come from; ValueError says what is wrong."""
    expected = "expected addresses of this host, such as 192.0.2.7, 192.0.2.4-192.0.2.7 or 192.0.2.8/29"
    try:
        low, high = parse_entry(text)
    except ValueError as error:
        raise ValueError(f"{error}: {expected}" if "/" in text or "-" in text else expected) from None
    if not UNICAST_FIRST <= low <= high < MULTICAST_FIRST:
        raise ValueError(expected)
    return low, high


def is_unicast(text: str) -> bool:
    """Return whether text is an address, range or prefix that packets can come from."""
    try:
        unicast_bounds(text)
    except ValueError:
        return False
    return True


def is_unicast_mac(text: str) -> bool:
    """Return whether text is a MAC address of one station: the group bit and all zeros name none (IEEE 802)."""
    if not MAC.fullmatch(text):
        return False
    octets = bytes.fromhex(text.replace(":", ""))
    return any(octets) and not octets[0] & 1
