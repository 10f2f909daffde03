"""Configs of a census, checked."""

from collections.abc import Mapping
from pathlib import Path

from liveness.config import load
from liveness.config.model import Config


def load_config(path: str | Path, overrides: Mapping[str, object] | None = None) -> Config:
    """Return the checked config of a census.

    As on the command line, variables `LIVENESS_*` of the environment replace values of the file, and `overrides`
    replace both. Overrides map dotted names to values: `{"rate": "10kpps", "retransmit.queue": 1000}`. Names of files
    in the config become absolute.

    Raises UsageError that names the file, the path inside it, the value and what was expected.
    """
    return load.load_config(path, overrides, options={name: name for name in overrides or ()})
