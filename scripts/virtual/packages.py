"""Packages of Debian unpacked into a folder: QEMU, BusyBox and a kernel, none of them installed on this machine.

apt gets settings, lists and a cache of its own, derived from the machine's sources: nothing of the machine's changes.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MACHINE_STATUS: Final = Path("/var/lib/dpkg/status")
QEMU: Final = "qemu-system-x86"
OTHERS: Final = ("busybox-static",)
KERNEL: Final = "linux-image-amd64"
KERNEL_PARTS: Final = ("linux-image", "linux-binary", "linux-modules", "linux-base")
"""Packages of a kernel: newer ones have image, modules and lists in packages of their own."""


class PackageError(Exception):
    """Packages that cannot be had, with the reason."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Folders of unpacked packages."""

    tools: Path
    kernel: Path
    version: str
    """Release of the kernel, as `uname -r` prints it."""


def bring(folder: Path, suite: str) -> Unpacked:
    """Download and unpack everything into a folder, with the kernel of a suite of Debian, unless it is there.

    Raises PackageError if this machine has no Debian sources, or if apt finds no such package.
    """
    apt = Apt(folder / "apt", suite)
    tools = folder / "tools"
    if not (tools / "complete").exists():
        apt.update()
        apt.unpack(apt.missing_here((QEMU, *OTHERS)), tools)
        (tools / "complete").touch()
    kernel = folder / suite
    version_file = kernel / "version"
    if not version_file.exists():
        apt.update()
        version = apt.kernel_version()
        found = [file for part in KERNEL_PARTS if (file := apt.download(f"{part}-{version}")) is not None]
        if not found:
            raise PackageError(f"suite {suite} has no package of the kernel {version}")
        apt.unpack(found, kernel)
        version_file.write_text(version)
    return Unpacked(tools, kernel, version_file.read_text())


class Apt:
    """apt with settings of its own, below one folder."""

    def __init__(self, folder: Path, suite: str) -> None:
        """Write the settings, for this machine's release of Debian, its backports and one more suite."""
        self.folder = folder.resolve()
        self.suite = suite
        release = self._machine_release()
        self.backports = f"{release}-backports"
        for name in ("lists/partial", "archives/partial", "sources.list.d", "apt.conf.d", "preferences.d", "empty"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        suites = dict.fromkeys((release, self.backports, suite))
        (self.folder / "sources.list.d/guest.sources").write_text(
            f"Types: deb\nURIs: {self._mirror(release)}\nSuites: {' '.join(suites)}\nComponents: main\n"
            f"Signed-By: {KEYRING}\n"
        )
        (self.folder / "no-status").touch()
        settings = {
            "Dir::Etc": self.folder,
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.folder / "sources.list.d",
            "Dir::Etc::preferencesparts": self.folder / "preferences.d",
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::extended_states": self.folder / "extended_states",
            "Dir::Cache": self.folder,
            "Dir::Cache::archives": self.folder / "archives",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
        }
        self.options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def _machine_release(self) -> str:
        words = Path("/etc/os-release").read_text(encoding="utf-8")
        found = re.search(r"^VERSION_CODENAME=\"?(\w+)", words, re.MULTILINE)
        if found is None or "debian" not in words:
            raise PackageError("this machine is not a Debian: QEMU and the kernel are its packages")
        return found.group(1)

    def _mirror(self, release: str) -> str:
        """Return where this machine has its packages from."""
        targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]).splitlines()
        for line in targets:
            uri, _, suite = line.partition(" ")
            if suite == release:
                return uri
        raise PackageError(f"the sources of apt have no suite {release}")

    def update(self) -> None:
        """Fetch the lists of packages."""
        run(["apt-get", *self.options, "-q", "update"])

    def missing_here(self, packages: Sequence[str]) -> list[Path]:
        """Download packages, and what they depend on and this machine lacks, newest versions first."""
        status = ["-o", f"Dir::State::status={MACHINE_STATUS}"]
        words = ["install", "-q", "-y", "--download-only", "--no-install-recommends", "--reinstall"]
        run(["apt-get", *self.options, *status, *words, "-t", self.backports, *packages])
        return sorted((self.folder / "archives").glob("*.deb"))

    def kernel_version(self) -> str:
        """Return the release of the kernel that the suite's newest kernel package stands for."""
        shown = run(["apt-cache", *self._alone(), "show", f"{KERNEL}/{self.suite}"])
        found = re.search(r"linux-image-([0-9][^\s,]*)", shown)
        if found is None:
            raise PackageError(f"suite {self.suite} has no {KERNEL}")
        return found.group(1)

    def download(self, package: str) -> Path | None:
        """Download one package alone; return None if there is none of that name."""
        if not run(["apt-cache", *self._alone(), "search", "--names-only", f"^{re.escape(package)}$"]):
            return None
        place = self.folder / "kernel" / package
        place.mkdir(parents=True, exist_ok=True)
        run(["apt-get", *self._alone(), "-q", "download", package], cwd=place)
        return next(iter(sorted(place.glob("*.deb"))))

    def _alone(self) -> list[str]:
        """Return options with which apt does not look at what is installed."""
        return [*self.options, "-o", f"Dir::State::status={self.folder / 'no-status'}"]

    def unpack(self, files: Iterable[Path], folder: Path) -> None:
        """Unpack packages without installing them: none of their scripts runs."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            run(["dpkg-deb", "-x", str(file), str(folder)])


def run(words: Sequence[str], cwd: Path | None = None) -> str:
    """Run a command and return its output. Raises PackageError with the last line of its errors if it fails."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PackageError(f"{words[0]} is not installed") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise PackageError(f"{words[0]} {words[-1]}: {lines[-1]}")
    return done.stdout
