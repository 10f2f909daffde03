"""`scripts/vm`: run the tests of cards in a virtual machine, once for each driver."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from scripts.virtual.guest import CARDS, GENERIC_CODE, MACS, Guest, GuestError
from scripts.virtual.initramfs import ModuleError
from scripts.virtual.packages import PackageError, bring

PROJECT: Final = Path(__file__).resolve().parents[2]
KERNELS: Final = (("warm", "scan"), ("lab", "exec", "--internet", "paper", "--ideal", "--", "true"))
"""Commands of `liveness` that compile the kernels of a scan and of the model Internet."""
TESTS: Final = ("pytest", "-p", "no:cacheprovider", "tests/cards")
DESCRIPTION: Final = """Run the tests of network cards in a virtual machine, whose two cards are joined by a cable
inside QEMU. QEMU and a kernel come from Debian's packages, unpacked into a folder and not installed. The machine sees
this one's files, which it cannot change."""


def main() -> int:
    """Run the command once for each driver; return the first exit code that is not 0."""
    options = _options()
    try:
        unpacked = bring(options.folder, options.suite)
        caches = options.folder / "caches"
        if not options.command:
            compile_kernels(caches)
        codes = []
        for driver in options.drivers or list(CARDS):
            print(f"== {driver}, Linux {unpacked.version}", file=sys.stderr, flush=True)
            guest = Guest(unpacked, PROJECT, driver)
            variables = {"TEST_CARDS": ",".join(MACS), "TEST_CARDS_DRIVER": driver}
            codes.append(guest.run(options.command or TESTS, variables, caches))
    except (PackageError, ModuleError, GuestError, OSError, subprocess.CalledProcessError) as error:
        print(f"scripts/vm: {error}", file=sys.stderr)
        return 1
    return next((code for code in codes if code), 0)


def compile_kernels(caches: Path) -> None:
    """Compile here what the tests in the machine need, which takes it many times as long."""
    caches.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = os.environ | GENERIC_CODE | {"XDG_CACHE_HOME": str(caches)}
    for words in KERNELS:
        subprocess.run([sys.executable, "-m", "liveness", *words], env=environment, check=True)


def _options() -> argparse.Namespace:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(prog="scripts/vm", description=DESCRIPTION)
    parser.add_argument(
        "--driver",
        dest="drivers",
        action="append",
        choices=list(CARDS),
        help="driver of the cards; may be given twice (default: each)",
    )
    parser.add_argument(
        "--suite",
        default="trixie-backports",
        help="suite of Debian whose newest kernel the machine runs (default: %(default)s)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=caches / "liveness-vm",
        help="where packages are unpacked, some 600 MB (default: %(default)s)",
    )
    parser.add_argument("command", nargs="*", help="what runs in the machine, after -- (default: pytest tests/cards)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
