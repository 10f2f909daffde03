"""The config in a run's manifest, which may be from another version or have been edited."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from liveness.config.checks import problems
from liveness.config.fields import problem_in
from liveness.config.model import Config, from_document
from liveness.errors import UsageError
from liveness.files.documents import shown_value
from liveness.version import __version__


class _Lists(Struct, frozen=True):
    block: tuple[str, ...] = ()
    opt_outs: tuple[str, ...] = ()


class _Blocking(Struct, frozen=True):
    targets: _Lists = _Lists()


def recorded_config(document: Mapping[str, object], manifest: Path, version: str) -> Config:
    """Return the config in a manifest that liveness `version` wrote.

    UsageError names the file, the field, its value and that version, where this one does not know the field or does not
    take the value: resuming without it would be another scan.
    """
    try:
        config = from_document(document)
        place, problem = next(
            ((wrong.path, f"{shown_value(wrong.value)}: {wrong.expected}") for wrong in problems(config)), (None, "")
        )
    except msgspec.ValidationError as error:
        place, problem = problem_in(document, error)
    except (ValueError, OverflowError, RecursionError) as error:
        place, problem = "$", str(error)
    if place is None:
        return config
    who = "this version wrote it: was it changed?" if version == __version__ else f"use liveness {version}"
    raise UsageError(
        f"{manifest}: $.config{place[1:]}: {problem}: written by liveness {version}, this is {__version__}: {who}"
    )


def recorded_blocklists(document: Mapping[str, object], manifest: Path) -> Sequence[str]:
    """Return what the config in a manifest blocks, whichever version wrote the rest. UsageError names what is wrong."""
    try:
        lists = msgspec.convert(document, _Blocking).targets
    except msgspec.ValidationError as error:
        raise UsageError(f"{manifest}: $.config: {error}: give the lists with -b FILE") from None
    return (*lists.block, *lists.opt_outs)
