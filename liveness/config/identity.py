"""Texts that identify a scanner to the scanned: a web page, names in the DNS, remarks in WHOIS."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from msgspec.structs import replace

from liveness.config.checks import is_unicast
from liveness.config.model import Config
from liveness.errors import UsageError
from liveness.space.addresses import format_address


@dataclass(frozen=True, slots=True)
class Identity:
    """The texts, each for one place."""

    page: str
    """Plain HTML without scripts, styles or external content."""
    reverse_dns: str
    """A PTR and an A record for every source address, as a zone file has them."""
    whois: str
    """Remarks and an abuse contact for the inetnum object of the source addresses (RFC 2622)."""


def identity_of(
    config: Config, origin: str, sources: Sequence[str], organisation: str | None, mail: str | None
) -> Identity:
    """Return the texts of a config. `origin` names it in messages.

    UsageError if the config has no contact, or no source address is known.
    """
    contact = config.contact.strip()
    for source in sources:
        if not is_unicast(source):
            raise UsageError(f"-S: {source!r}: expected addresses of the scanner, such as 192.0.2.7 or 192.0.2.8/29")
    network = replace(config.network, source_addresses=tuple(sources)) if sources else config.network
    addresses = [format_address(address) for address in network.sources]
    if not contact:
        raise UsageError(f"{origin}: $.contact: {config.contact!r}: name a page or a mail address first")
    if not addresses:
        raise UsageError(f"{origin}: $.network.source_addresses: []: name the scanner's addresses there or by -S")
    reach = mail or (contact.removeprefix("mailto:") if "@" in contact and "://" not in contact else None)
    if reach is None or "@" not in reach:
        raise UsageError(f"{origin}: $.contact: {contact!r}: no mail address: give --mail")
    who = organisation or config.name
    return Identity(
        page=_page(config, who, contact, reach, addresses),
        reverse_dns=_reverse_dns(config, contact, reach, addresses),
        whois=_whois(config, who, contact, reach),
    )


def _page(config: Config, who: str, contact: str, mail: str, addresses: Sequence[str]) -> str:
    probes = ", ".join(probe.replace("tcp/", "TCP port ") for probe in config.probes)
    link = f'<a href="{escape(contact)}">{escape(contact)}</a>' if "://" in contact else escape(contact)
    items = "\n".join(f"<li><code>{escape(address)}</code></li>" for address in addresses)
    control = ", and one TCP port chosen at random" if config.control else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Internet measurement by {escape(who)}</title></head>
<body>
<h1>Why you see packets from us</h1>
<p>{escape(who)} takes a census of which IPv4 addresses answer. The packets come from</p>
<ul>
{items}
</ul>
<h2>What we send</h2>
<p>Each address gets one small packet of each of these probes, {config.retransmit.attempts} times at most, in random
order over all addresses: {escape(probes)}{control}. We open no connection to the end, log in nowhere, exploit nothing
and read no data of yours: what is noted is that, and how, an address answered. The probes are ICMP echo requests,
TCP SYNs, a DNS query for a well-known name and an NTP time request.</p>
<h2>How to opt out</h2>
<p>Write to <a href="mailto:{escape(mail)}">{escape(mail)}</a> and name your prefixes (for example 192.0.2.0/24). A scan
that is running leaves you alone within seconds of our noting it, later ones do not begin with you, and what earlier
scans have noted of your addresses is removed if you ask for it.</p>
<p>You can also drop packets from the addresses above: nothing of yours will miss them.</p>
<h2>Questions</h2>
<p>{link}, <a href="mailto:{escape(mail)}">{escape(mail)}</a></p>
</body>
</html>
"""


def _reverse_dns(config: Config, contact: str, mail: str, addresses: Sequence[str]) -> str:
    domain = (contact.partition("://")[2].partition("/")[0] if "://" in contact else mail.rpartition("@")[2]).lower()
    domain = domain.rpartition("@")[2].partition(":")[0]
    label = "".join(char if char.isalnum() else "-" for char in config.name.lower()).strip("-") or "census"
    lines = [f"; Suggested names of the scanner's addresses: they say what it does, and where to ask ({contact})."]
    for number, address in enumerate(addresses, 1):
        name = f"scanner{number}.{label}.internet-measurement.{domain}."
        pointer = ".".join(reversed(address.split(".")))
        lines += [f"{pointer}.in-addr.arpa. IN PTR {name}", f"{name} IN A {address}"]
    return "\n".join(lines) + "\n"


def _whois(config: Config, who: str, contact: str, mail: str) -> str:
    return (
        f"remarks:        These addresses take part in an Internet measurement by {who}\n"
        f"remarks:        ({config.name}: which IPv4 addresses answer). It is no attack.\n"
        f"remarks:        Who, why, and how to opt out: {contact}\n"
        f"remarks:        Opting out takes effect at once: {mail}\n"
        f"abuse-mailbox:  {mail}\n"
    )
