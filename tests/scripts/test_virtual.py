"""What scripts/vm gives to a virtual machine: its first file system, its modules, and cards that lead nowhere."""

import lzma
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.virtual import packages
from scripts.virtual.guest import CARDS, MACS, Guest
from scripts.virtual.initramfs import ModuleError, archive, load_order
from scripts.virtual.packages import PackageError, Unpacked, bring

NO_KERNEL = {
    "update": lambda: None,
    "kernel_version": lambda: "7.0.0-amd64",
    "download": lambda _: None,
    "unpack": lambda _, folder: folder.mkdir(exist_ok=True),
}
"""apt that names a kernel and has none of its packages."""
DEPENDENCIES = {"alpha": "beta-one,gamma", "beta_one": "gamma,inside", "gamma": "", "other": "alpha"}


def module(name: str, needed: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + needed.encode() + b"\0name=" + name.encode() + b"\0"


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Make modules that need each other, some of them compressed, and one that is built in."""
    folder = tmp_path / "modules"
    (folder / "kernel").mkdir(parents=True)
    (folder / "modules.builtin").write_text("kernel/lib/inside.ko\n")
    for name, needed in DEPENDENCIES.items():
        file = folder / "kernel" / f"{name.replace('_', '-')}.ko"
        if name == "gamma":
            file.with_suffix(".ko.xz").write_bytes(lzma.compress(module(name, needed)))
        else:
            file.write_bytes(module(name, needed))
    return folder


def test_modules_load_after_those_that_they_need(modules: Path) -> None:
    order = load_order(modules, ["alpha", "inside", "beta_one"])
    assert order == [(name, module(name, DEPENDENCIES[name])) for name in ("gamma", "beta_one", "alpha")]


def test_a_module_that_the_kernel_lacks_is_named(modules: Path) -> None:
    with pytest.raises(ModuleError, match="has no module delta"):
        load_order(modules, ["alpha", "delta"])


def test_the_first_file_system_is_an_archive_that_others_read(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"#!odd length")
    content = archive(busybox, [("one", b"first"), ("two", b"")], "#!/bin/busybox sh\n")
    done = subprocess.run(
        ["busybox", "cpio", "-i", "-d", "-F", "/dev/stdin"],
        input=content,
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == b""
    assert (tmp_path / "init").read_text() == "#!/bin/busybox sh\n"
    assert (tmp_path / "init").stat().st_mode & 0o111
    assert (tmp_path / "bin/busybox").read_bytes() == b"#!odd length"
    assert (tmp_path / "dev/console").is_char_device()
    assert {path.name: path.read_bytes() for path in (tmp_path / "modules").iterdir()} == {
        "000-one.ko": b"first",
        "001-two.ko": b"",
    }


@pytest.mark.parametrize("driver", CARDS)
def test_the_cards_are_joined_to_each_other_and_to_nothing_else(driver: str, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    (kernel / "boot").mkdir(parents=True)
    (kernel / "boot/vmlinuz-1").touch()
    guest = Guest(Unpacked(tmp_path / "tools", kernel, "1"), tmp_path, driver)
    words = guest._qemu(tmp_path, tmp_path / "initramfs", tmp_path)
    assert "-nodefaults" in words  # which would add a card with a way out
    ways = [words[at + 1] for at, word in enumerate(words) if word == "-netdev"]
    assert ways == ["hubport,hubid=0,id=end0", "hubport,hubid=0,id=end1"]
    cards = [word for word in words if "netdev=" in word]
    assert [card.rpartition("mac=")[2] for card in cards] == list(MACS)
    assert not {"-nic", "-net"} & set(words)
    shares = {word.split(",")[1]: word for word in words if word.startswith("local,path=")}
    assert {path for path, word in shares.items() if "readonly=on" not in word} == {f"path={tmp_path}"}
    assert "readonly=on" in shares["path=/"]


def test_a_kernel_without_packages_is_an_error_and_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "Apt", lambda *_: SimpleNamespace(**NO_KERNEL))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/complete").touch()
    for _ in range(2):
        with pytest.raises(PackageError, match=r"suite sid has no package of the kernel 7\.0\.0-amd64"):
            bring(tmp_path, "sid")
