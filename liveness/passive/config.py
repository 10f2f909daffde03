"""Config of a passive run: every field, its type, its default, and the loader that names what is wrong."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from liveness.config.checks import NAME, Problem, notify_problems
from liveness.config.model import Delivery, Section, decode_unit
from liveness.config.units import Duration
from liveness.errors import LivenessError, UsageError
from liveness.files.documents import parse_mapping, read_text, shaped, shown_value, steps
from liveness.files.yaml import line_of
from liveness.flows.table_queries import OUR_COLUMNS
from liveness.passive.gates import EXCLUSIONS
from liveness.passive.services import parse_service
from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals

Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]
DEFAULT_RULES: Final = "glatz-2011-10"


class Services(Section, frozen=True, kw_only=True):
    """Which local endpoints are services: those that succeed with so many clients within a time, and listed ones."""

    learn_clients: Annotated[int, msgspec.Meta(ge=1, le=64)] = 3
    keep: Duration = Duration("24h")
    known: tuple[str, ...] = ()


class Scanners(Section, frozen=True, kw_only=True):
    """Constants of the random walk (Jung 2004), targets of a host scan, and how far both look back."""

    theta0: Probability = 0.8
    theta1: Probability = 0.2
    alpha: Probability = 0.01
    beta: Probability = 0.99
    targets: Positive = 32
    history: Duration = Duration("24h")


class Outages(Section, frozen=True, kw_only=True):
    """When a service counts as failing: failed share, how many times its own median, and failed clients, at least."""

    share: Share = 0.5
    times_median: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    clients: Positive = 10


class Symmetry(Section, frozen=True, kw_only=True):
    """When a capture counts as one-sided: inbound TCP flows with ACK without an answer, their share and number."""

    share: Share = 0.5
    flows: Positive = 100


class PassiveNotify(Delivery, frozen=True, kw_only=True):
    """Notifications of a run: how it ended, and services that begin to fail or recover while it follows its inputs."""

    on: tuple[Literal["complete", "failure", "outage", "recovery"], ...] = (
        "complete",
        "failure",
        "outage",
        "recovery",
    )


class Config(Section, frozen=True, kw_only=True):
    """A passive run."""

    name: str
    local: tuple[str, ...]
    interval: Duration = Duration("10m")
    inputs: tuple[str, ...] = ()
    follow: bool = False
    lateness: Duration = Duration("5m")
    rules: str = DEFAULT_RULES
    services: Services = Services()
    scanners: Scanners = Scanners()
    outages: Outages = Outages()
    symmetry: Symmetry = Symmetry()
    own_probes: tuple[str, ...] = ()
    censuses: tuple[str, ...] = ()
    """Runs of censuses and surveys of the local network: what replied is not grey, what was open is a known service."""
    exclude: tuple[str, ...] = EXCLUSIONS
    columns: dict[str, str] = msgspec.field(default_factory=dict)
    export_ports: tuple[Annotated[int, msgspec.Meta(ge=1, le=65535)], ...] = ()
    keep_flows: bool = False
    prefix_data: dict[str, str] = msgspec.field(default_factory=dict)
    notify: PassiveNotify = PassiveNotify()
    output: str = "sets"

    @property
    def interval_ns(self) -> int:
        """Return the length of an interval, ns."""
        return self.interval.us * 1000

    def intervals_in(self, duration: Duration) -> int:
        """Return how many intervals a duration takes, a part of one counted as a whole one."""
        return max(1, -(-duration.us // self.interval.us))

    @property
    def local_space(self) -> Intervals:
        """Return the addresses that are inside."""
        return _space(self.local)

    @property
    def own_space(self) -> Intervals:
        """Return the sources of our own censuses."""
        return _space(self.own_probes)


MIN_INTERVAL_US: Final = 1_000_000
DAY_US: Final = 86_400_000_000
PREFIX_DATA: Final = ("country", "asn")
"""What data on prefixes say of a remote."""


def _space(entries: Sequence[str]) -> Intervals:
    bounds = [parse_entry(entry) for entry in entries]
    return Intervals.from_bounds([low for low, _ in bounds], [high for _, high in bounds])


def load_config(path: Path) -> Config:
    """Return the checked config of a file.

    Inputs and a file of rules that have relative names start at the config's folder. UsageError names the file, the
    path in it, the value and what was expected.
    """
    text = read_text(path, "the config")
    document = parse_mapping(text, str(path), "name: campus")
    config = shaped(document, Config, str(path), text=text, decode=decode_unit)
    for problem in problems(config):
        raise UsageError(_message(path, text, problem.path, f"{shown_value(problem.value)}: {problem.expected}"))
    folder = path.parent.absolute()  # a run is resumed and explained from anywhere
    rules = folder / config.rules
    return msgspec.structs.replace(
        config,
        inputs=tuple(entry if entry == "-" else str(folder / entry) for entry in config.inputs),
        rules=str(rules) if rules.is_file() else config.rules,
        prefix_data={name: str(folder / file) for name, file in config.prefix_data.items()},
        censuses=tuple(str(folder / Path(entry).expanduser()) for entry in config.censuses),
    )


def to_document(config: Config) -> dict[str, Any]:
    """Return a config as a manifest keeps it: without `notify`, because a webhook's address may be a secret."""
    document: dict[str, Any] = msgspec.to_builtins(config, enc_hook=str)
    del document["notify"]
    return document


def recorded_config(document: object, file: Path) -> Config:
    """Return the config that a manifest keeps, checked as that of a file. LivenessError names what does not fit."""
    try:
        config = msgspec.convert(document, Config, dec_hook=decode_unit)
    except msgspec.ValidationError as error:
        raise LivenessError(f"{file}: $.config: {error}") from error
    for problem in problems(config):
        where = problem.path.removeprefix("$")
        raise LivenessError(f"{file}: $.config{where}: {shown_value(problem.value)}: {problem.expected}")
    return config


def problems(config: Config) -> Iterator[Problem]:
    """Yield every value of a config that its type allows and its meaning does not."""
    if not NAME.fullmatch(config.name):
        yield Problem("$.name", config.name, "expected a folder name: letters, digits, '.', '_' and '-', at most 100")
    if not config.local:
        yield Problem("$.local", [], "expected the prefixes of the network, such as [198.51.100.0/24]")
    yield from _unparsed("local", config.local, parse_entry)
    yield from _unparsed("own_probes", config.own_probes, parse_entry)
    yield from _unparsed("services.known", config.services.known, parse_service)
    if not MIN_INTERVAL_US <= config.interval.us <= DAY_US:
        yield Problem("$.interval", config.interval, "expected a duration from 1s to 24h, such as 10m")
    yield from notify_problems(config.notify)
    for index, entry in enumerate(config.censuses):
        if not entry or "\0" in entry:
            yield Problem(
                f"$.censuses[{index}]", entry, "expected the directory of a run, such as sets/campus/2026-11-21T000000Z"
            )
    yield from _unknown_names("exclude", config.exclude, EXCLUSIONS)
    yield from _unknown_names("prefix_data", config.prefix_data, PREFIX_DATA)
    yield from _unknown_names("columns", config.columns, OUR_COLUMNS)
    scanners = config.scanners
    for place, duration in (("services.keep", config.services.keep), ("scanners.history", scanners.history)):
        if duration.us == 0:
            yield Problem(f"$.{place}", duration, "expected a duration above 0s, such as 24h")
    if scanners.theta0 <= scanners.theta1:
        yield Problem("$.scanners.theta1", scanners.theta1, f"expected less than theta0, {scanners.theta0}")
    if scanners.alpha >= scanners.beta:
        yield Problem("$.scanners.alpha", scanners.alpha, f"expected less than beta, {scanners.beta}")


def _unparsed(field: str, entries: Sequence[str], parse: Callable[[str], object]) -> Iterator[Problem]:
    """Yield the entries of a list that cannot be parsed."""
    for index, entry in enumerate(entries):
        try:
            parse(entry)
        except ValueError as error:
            yield Problem(f"$.{field}[{index}]", entry, str(error))


def _unknown_names(field: str, names: Iterable[str], valid: Sequence[str]) -> Iterator[Problem]:
    """Yield the names that are none of the valid ones."""
    for name in names:
        if name not in valid:
            yield Problem(f"$.{field}", name, f"expected some of {', '.join(valid)}")


def _message(path: Path, text: str, place: str, problem: str) -> str:
    line = line_of(text, steps(place))
    return f"{path}: {place}: {problem}" if line is None else f"{path}:{line}: {place}: {problem}"
