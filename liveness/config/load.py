"""Loading: a config file, the environment and the command line become one checked config and its targets."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from liveness.config.checks import problems
from liveness.config.fields import problem_in
from liveness.config.layers import COMMAND_LINE, Layers
from liveness.config.model import Config, from_document
from liveness.config.probe_names import names_of
from liveness.errors import RefusedError, UsageError, count_of
from liveness.files.documents import parse_mapping, read_text, shown_value
from liveness.ipsets.files import codec
from liveness.ipsets.formats.codec import DEFAULT_COLUMN, Choice
from liveness.ipsets.formats.table import by_content
from liveness.ipsets.runs import runs
from liveness.ipsets.source import open_source
from liveness.space.addresses import ENTRY, parse_entry
from liveness.space.intervals import Intervals
from liveness.space.prefixes import Skipped, read_stream
from liveness.space.targets import Targets


def load_config(
    path: str | Path | None,
    overrides: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Config:
    """Return the checked config of a file, ``LIVENESS_*`` variables and overrides; the last named wins.

    `overrides` maps dotted names (``rate``, ``retransmit.queue``) to values; None means not given. `environment` is
    this process's unless another is passed. `options` are the names of overrides on the command line, by the same
    dotted names. Without a `path` everything comes from overrides and environment. File names among targets become
    absolute: relative ones start at the config file, or at the working directory for overrides and environment.
    UsageError names where the value came from, its path, the value and what was expected.
    """
    layers = Layers(COMMAND_LINE if path is None else str(path))
    if path is not None:
        text = read_text(Path(path), "the config")
        layers.add_file(as_document(text, str(path)), Path(path).parent, text)
    layers.add_environment(os.environ if environment is None else environment)
    for name, value in (overrides or {}).items():
        if value is not None:
            layers.add_value(name, value, (options or {}).get(name, COMMAND_LINE))
    try:
        config = from_document(layers.tree)
    except msgspec.ValidationError as error:
        raise UsageError(layers.message(*problem_in(layers.tree, error))) from None
    for problem in problems(config):
        raise UsageError(layers.message(problem.path, f"{shown_value(problem.value)}: {problem.expected}"))
    return msgspec.structs.replace(config, probes=tuple(probe for name in config.probes for probe in names_of(name)))


def as_document(text: str, name: str) -> dict[str, object]:
    """Return the mapping that a YAML or JSON text holds; UsageError for anything else."""
    return parse_mapping(text, name, "name: census")


def first_list_of(path: Path) -> Path | None:
    """Return the first blocklist file that a config names, which may be missing; None if it names none."""
    section = as_document(read_text(path, "the config"), str(path)).get("targets")
    entries = section.get("block") if isinstance(section, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, str) and entry.strip() not in ("", "-") and not ENTRY.fullmatch(entry.strip()):
            return path.parent / Path(entry.strip()).expanduser()
    return None


def resolve_targets(config: Config, lab: bool, origin: str | Path | None = None) -> Targets:
    """Return the addresses a config's census probes: allowed, less blocked, less special-purpose space outside a lab.

    `origin` names the config in messages, by default its own name. UsageError for a list that cannot be read in full
    or leaves no target; RefusedError where public addresses are targets and no contact is given.
    """
    label = f"config {config.name!r}" if origin is None else str(origin)
    skipped = skipped_in(config)
    allow, block = (read_entries(entries, skipped) for entries in (config.targets.allow, config.targets.block))
    read_entries(config.targets.opt_outs, skipped)  # the scan reads them again: here they are checked
    try:
        targets = Targets.build(allow, block, lab=lab)
    except UsageError as error:
        raise UsageError(f"{label}: $.targets.allow: {shown_value(list(config.targets.allow))}: {error}") from None
    if skipped is not None:
        targets = replace(targets, ipv6_lines=skipped.lines)
    if targets.public and not config.contact.strip():
        raise RefusedError(
            f"{label}: $.contact: {config.contact!r}: {count_of(targets.count, 'target')}, public addresses among them:"
            " give a URL or mail address, by which their owners learn who probes them"
        )
    return targets


def list_files(entries: Sequence[str]) -> list[Path]:
    """Return the files among prefixes, ranges, addresses and list files; standard input is none."""
    files = []
    for entry in entries:
        try:
            parse_entry(entry)
        except ValueError:
            if entry != "-":
                files.append(Path(entry))
    return files


def read_entries(entries: Sequence[str], skipped: Skipped | None = None) -> Intervals:
    """Return the addresses of prefixes, ranges, addresses and files; `skipped` counts lines of IPv6, if it is given."""
    bounds: list[tuple[int, int]] = []
    total = Intervals.empty()
    for entry in entries:
        try:
            bounds.append(parse_entry(entry))
        except ValueError:
            total = total.union(read_addresses(entry, skipped))
    return total.union(Intervals.from_bounds([low for low, _ in bounds], [high for _, high in bounds]))


def read_addresses(path: str, skipped: Skipped | None = None) -> Intervals:
    """Return the addresses in a list or in a set of any format that its content shows; ``-`` is standard input.

    UsageError names the file and what is wrong with it.
    """
    with open_source(path, "this address list") as source:
        form = by_content(source.head, source.name, DEFAULT_COLUMN)
        if form is None:
            return read_stream(source, source.name, skipped)
        bounds = list(runs(codec(form).read_from(source, Choice(skipped=skipped))))
    if not bounds:
        return Intervals.empty()
    first, last = (np.concatenate(side) for side in zip(*bounds, strict=True))
    return Intervals.from_bounds(first, last)


def skipped_in(config: Config) -> Skipped | None:
    """Return a counter of IPv6 lines if a config skips them, None if they are errors."""
    return Skipped() if config.targets.ipv6 == "skip" else None
