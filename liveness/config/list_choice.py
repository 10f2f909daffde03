"""The blocklists that a command works on: those of -b, those of a config, or the one in this directory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.config.blocklists import begin, in_force, read_requests
from liveness.config.load import first_list_of, list_files, load_config
from liveness.config.requests import Entry
from liveness.errors import UsageError
from liveness.space.addresses import parse_entry
from liveness.space.prefixes import Skipped

DEFAULT_LIST: Final = "blocklist.txt"


@dataclass(frozen=True, slots=True)
class ListChoice:
    """Blocklists as the options of a command name them; files win over a config."""

    files: Sequence[Path] = ()
    config_file: Path | None = None

    @property
    def is_given(self) -> bool:
        """Whether the options name any list."""
        return bool(self.files) or self.config_file is not None

    def paths(self) -> list[Path]:
        """Return the files. UsageError if the config names none, or if there is none in this directory."""
        if self.files:
            return list(self.files)
        if self.config_file is not None:
            return self._of_config(self.config_file)
        here = Path(DEFAULT_LIST)
        if not here.exists():
            raise UsageError(f"no {DEFAULT_LIST} here: give -b FILE or -C CONFIG")
        return [here]

    def path_to_extend(self) -> Path:
        """Return the file to which requests are added, which need not exist yet: the first one."""
        if self.files:
            return self.files[0]
        if self.config_file is None:
            return Path(DEFAULT_LIST)
        named = first_list_of(self.config_file)
        if named is not None:
            begin(named)
        return self._of_config(self.config_file)[0]

    def requests(self) -> list[Entry]:
        """Return all requests, withdrawn ones too; those in the config itself have its path as their place."""
        if self.files or self.config_file is None:
            return [entry for path in self.paths() for entry in read_requests(path, Skipped())]
        found: list[Entry] = []
        lists = load_config(self.config_file).targets
        for name, entries in (("block", lists.block), ("opt_outs", lists.opt_outs)):
            for index, text in enumerate(entries):
                try:
                    first, last = parse_entry(text)
                except ValueError:
                    found += read_requests(text, Skipped())
                else:
                    found.append(Entry(f"{self.config_file}: $.targets.{name}[{index}]", 0, text, first, last, ""))
        return found

    def entries(self) -> list[Entry]:
        """Return the requests that are in force."""
        return in_force(self.requests())

    @staticmethod
    def _of_config(config_file: Path) -> list[Path]:
        lists = list_files(load_config(config_file).targets.blocklists)
        if not lists:
            raise UsageError(
                f"{config_file}: $.targets.block: names no blocklist file: write"
                f" block: [{DEFAULT_LIST}] there, or give -b FILE"
            )
        return lists
