"""Running `liveness` as a user does: commands in labs and private networks, configs for them, and what they leave."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from pyroaring import BitMap

from liveness.replies import SetKey
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory

ROOT: Final = Path(__file__).parents[2]
CONFIGS: Final = ROOT / "configs"
LIVENESS: Final = (sys.executable, "-m", "liveness")
EXEC: Final = (*LIVENESS, "lab", "exec")
TIMEOUT_S: Final = 120


def lab_config(**changes: object) -> dict[str, Any]:
    """Return configs/lab.yaml as a document, with some fields changed."""
    document: dict[str, Any] = yaml.safe_load((CONFIGS / "lab.yaml").read_text())
    return document | changes


def write_yaml(path: Path, document: Mapping[str, object]) -> Path:
    """Write a document as YAML and return where."""
    path.write_text(yaml.safe_dump(dict(document)))
    return path


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment less what would change a config, plus `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVENESS_")}
    return kept | variables


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - subprocess's own
    """Run a command to its end; its output as text, its exit code for the caller to judge."""
    given: dict[str, Any] = {"env": clean_environment(), "timeout": TIMEOUT_S} | options
    return subprocess.run(
        [str(argument) for argument in arguments], capture_output=True, text=True, check=False, **given
    )


@dataclass(frozen=True)
class Census:
    """A run on disk."""

    path: Path

    @property
    def directory(self) -> RunDirectory:
        """The run directory."""
        return RunDirectory.open(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """What the run says of itself."""
        return self.directory.read_manifest()

    @cached_property
    def document(self) -> dict[str, Any]:
        """The manifest as any JSON reader sees it."""
        read: dict[str, Any] = msgspec.json.decode((self.path / "manifest.json").read_bytes())
        return read

    @cached_property
    def sets(self) -> dict[SetKey, BitMap]:
        """All sets, each verified against digest and cardinality."""
        return {entry.key: self.directory.read_set(entry) for entry in self.manifest.sets}

    def union(self, probes: set[str], kinds: set[str], role: str) -> BitMap:
        """Return the union of the sets of some probes, some kinds and one role."""
        chosen = (
            members
            for key, members in self.sets.items()
            if key.reply.probe in probes and key.reply.kind.label in kinds and key.role == role
        )
        return BitMap.union(BitMap(), *chosen)


def losses_of(manifest: Manifest) -> list[str]:
    """Return the warnings of a run, but the one that a busy machine did not reach the rate."""
    return [warning for warning in manifest.loss_warnings if "was not reached" not in warning]
