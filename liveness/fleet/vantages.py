"""Vantage file: the machines of a fleet, the census that they take, how they share it, and where runs are stored."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from liveness.config.checks import NAME
from liveness.config.model import MAX_SHARDS, Section, decode_unit
from liveness.config.units import Duration, Rate, StartTime
from liveness.errors import RefusedError, UsageError
from liveness.files.documents import parse_mapping, read_text, shaped, shown_value
from liveness.space.addresses import parse_entry

SCHEMES: Final = ("file", "s3", "gs", "az", "azure")
"""Kinds of stores, as URLs name them."""
LEAST_LEASE_S: Final = 5.0
LARGEST_AS: Final = (1 << 32) - 1


class StorePlace(Section, frozen=True, kw_only=True):
    """The object store: its URL, and where an S3-compatible server is. Credentials come from the environment."""

    url: str
    endpoint: str = ""
    region: str = ""
    allow_http: bool = False


class SchedulerPlace(Section, frozen=True, kw_only=True):
    """Dask's scheduler, and the files of TLS by which this machine and the scheduler prove who they are."""

    address: str
    ca: str = ""
    cert: str = ""
    key: str = ""


class VantagePoint(Section, frozen=True, kw_only=True):
    """One machine: its name, its place in the network, and what of the census differs there.

    `command` starts liveness at that machine, without one its worker's own Python does; `directory` is where it keeps
    its runs until they are stored. The start is later by `offset`. `resources` are further resources of Dask that a
    worker must offer.
    """

    name: str
    addresses: tuple[str, ...] = ()
    interface: str = ""
    rate: Rate | None = None
    contact: str = ""
    region: str = ""
    asn: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_AS)] | None = None
    offset: Duration = Duration("0s")
    resources: dict[str, float] = msgspec.field(default_factory=dict)
    directory: str = "fleet"
    command: tuple[str, ...] = ()


class Fleet(Section, frozen=True, kw_only=True):
    """The vantage file. `lease` is how long a job belongs to a worker that is not heard of any more.

    In `split` each vantage point sends a part of the census, in `replicate` each sends all of it. A vantage point that
    was silent for `lost_after` is lost: another one takes over its part. Without `start` the census begins `lead` after
    the command.
    """

    config: str
    mode: Literal["split", "replicate"]
    store: StorePlace
    vantages: Annotated[tuple[VantagePoint, ...], msgspec.Meta(min_length=1, max_length=MAX_SHARDS)]
    scheduler: SchedulerPlace | None = None
    start: StartTime | None = None
    lead: Duration = Duration("30s")
    max_pps_per_24: Annotated[float, msgspec.Meta(gt=0)] | None = None
    lease: Duration = Duration("60s")
    lost_after: Duration | None = None

    def vantage(self, name: str) -> VantagePoint:
        """Return a vantage point by its name. UsageError names those that exist."""
        for vantage in self.vantages:
            if vantage.name == name:
                return vantage
        names = ", ".join(vantage.name for vantage in self.vantages)
        raise UsageError(f"{name!r}: no vantage point of this fleet: there are {names}")


def load_fleet(path: Path) -> Fleet:
    """Return the checked vantage file; names of files in it become absolute.

    UsageError names file, line, place, value and what was expected; RefusedError a scheduler that is reached without
    TLS.
    """
    text = read_text(path, "the vantage file")
    tree = parse_mapping(text, str(path), "config: census.yaml")
    fleet = shaped(tree, Fleet, str(path), text=text, decode=decode_unit)
    for place, value, expected in _problems(fleet):
        raise UsageError(f"{path}: {place}: {shown_value(value)}: {expected}")
    _check_scheduler(fleet.scheduler, path)
    return _located(fleet, path.parent.absolute())


def _located(fleet: Fleet, base: Path) -> Fleet:
    """Return the vantage file with absolute names of files."""

    def at(name: str) -> str:
        return str(base / Path(name).expanduser()) if name else ""

    scheduler, store = fleet.scheduler, fleet.store
    if scheduler is not None:
        scheduler = msgspec.structs.replace(
            scheduler, ca=at(scheduler.ca), cert=at(scheduler.cert), key=at(scheduler.key)
        )
    if "://" not in store.url:
        store = msgspec.structs.replace(store, url=f"file://{at(store.url)}")
    return msgspec.structs.replace(fleet, config=at(fleet.config), scheduler=scheduler, store=store)


def _problems(fleet: Fleet) -> Iterator[tuple[str, object, str]]:
    """Yield place, value and what was expected of each field that is wrong in itself or with others."""
    if not fleet.config or "\0" in fleet.config:
        yield "$.config", fleet.config, "expected the config of a census"
    yield from _store_problems(fleet.store)
    names = Counter(vantage.name for vantage in fleet.vantages)
    for index, vantage in enumerate(fleet.vantages):
        place = f"$.vantages[{index}]"
        if not NAME.fullmatch(vantage.name):
            yield f"{place}.name", vantage.name, "expected a name: letters, digits, '.', '_' and '-', at most 100"
        if names[vantage.name] > 1:
            yield f"{place}.name", vantage.name, "stands twice: give each vantage point a name of its own"
        yield from _vantage_problems(vantage, place)
        if fleet.mode == "split" and vantage.offset.us:
            yield f"{place}.offset", vantage.offset, "shards of a split census begin together: leave it out"
    if fleet.lease.seconds < LEAST_LEASE_S:
        yield "$.lease", fleet.lease, f"expected at least {LEAST_LEASE_S:g}s"
    if fleet.lost_after is not None:
        if fleet.mode == "replicate":
            yield "$.lost_after", fleet.lost_after, "nobody replaces a vantage point in replicate mode: leave it out"
        if fleet.lost_after.seconds < 2 * fleet.lease.seconds:
            yield "$.lost_after", fleet.lost_after, f"expected at least twice the lease of {fleet.lease}"


def _store_problems(store: StorePlace) -> Iterator[tuple[str, object, str]]:
    scheme, separator, _ = store.url.partition("://")
    if not store.url or "\0" in store.url or (separator and scheme not in SCHEMES):
        yield "$.store.url", store.url, f"expected a directory, or a URL of {', '.join(SCHEMES)}"
    if separator and "@" in urlsplit(store.url).netloc:
        yield "$.store.url", store.url, "no credentials here: they come from the environment of each machine"
    if store.endpoint.startswith("http://") and not store.allow_http:
        yield "$.store.endpoint", store.endpoint, "expected https://, or allow_http: true for a store on this machine"
    if store.endpoint and not store.endpoint.startswith(("http://", "https://")):
        yield "$.store.endpoint", store.endpoint, "expected a URL such as https://s3.example.org"


def _vantage_problems(vantage: VantagePoint, place: str) -> Iterator[tuple[str, object, str]]:
    for number, address in enumerate(vantage.addresses):
        try:
            parse_entry(address)
        except ValueError as error:
            yield f"{place}.addresses[{number}]", address, str(error)
    if vantage.rate is not None and vantage.rate.auto:
        yield f"{place}.rate", vantage.rate, "expected a rate: the packets of all vantage points are added up"
    if not vantage.directory or "\0" in vantage.directory:
        yield f"{place}.directory", vantage.directory, "expected a directory"
    if any(not word or "\0" in word for word in vantage.command):
        yield f"{place}.command", list(vantage.command), "expected a program and its arguments"
    for resource, amount in vantage.resources.items():
        if resource == vantage.name or amount <= 0:
            yield f"{place}.resources", {resource: amount}, "expected other resources than the name, above 0"


def _check_scheduler(scheduler: SchedulerPlace | None, path: Path) -> None:
    """Raise RefusedError for a scheduler that others could command: without TLS it must be on this machine."""
    if scheduler is None:
        return
    parts = urlsplit(scheduler.address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not port:
        raise UsageError(
            f"{path}: $.scheduler.address: {shown_value(scheduler.address)}: expected an address such as"
            " tls://scheduler.example.org:8786"
        )
    files = (scheduler.ca, scheduler.cert, scheduler.key)
    if parts.scheme == "tls" and not all(files):
        raise UsageError(f"{path}: $.scheduler: {scheduler.address}: give ca, cert and key: the files of TLS")
    if parts.scheme == "tcp" and not is_loopback(parts.hostname):
        raise RefusedError(
            f"{path}: $.scheduler.address: {scheduler.address}: without TLS anybody can run programs on all vantage"
            " points: use tls:// with ca, cert and key"
        )


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
