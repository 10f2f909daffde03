"""One run of a virtual machine: it sees this machine's files read-only, runs a command, and ends.

Its two cards are joined by a cable inside QEMU (a hub), which leads nowhere else: no packet leaves the machine.
"""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.virtual.initramfs import archive, load_order
from scripts.virtual.packages import Unpacked

KVM: Final = Path("/dev/kvm")
BY_HARDWARE: Final = (Path("/sys/module/kvm_intel"), Path("/sys/module/kvm_amd"))
"""Modules of KVM that use the processor's virtualisation. KVM without them (kvm_pvm) does not boot Debian's kernel."""
CARDS: Final = {
    "virtio_net": "virtio-net-pci,queue_reset=on,iommu_platform=on,disable-legacy=on,romfile=",
    "igb": "igb,romfile=",
}
"""Drivers of cards, and QEMU's devices that they drive."""
MACS: Final = ("02:00:00:4c:00:01", "02:00:00:4c:00:02")
MODULES: Final = (
    "virtio_pci",
    "9p",
    "9pnet_virtio",
    "veth",
    "dummy",
    "ifb",
    "tun",
    "bridge",
    "nf_tables",
    "nft_reject_inet",
    "nft_ct",
    "overlay",
)
GENERIC_CODE: Final = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
"""Environment with which kernels are compiled for any x86-64, so that what this machine has compiled runs in the guest,
where compiling takes many minutes if QEMU emulates the processor."""
LONGEST_RUN_S: Final = 3600.0
MEMORY_MIB: Final = 3072
SHARE: Final = "/mnt/share"
INIT: Final = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module" || echo "cannot load $module"; done
plan9() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,$3" "$1" "$2"; }
plan9 machine /new ro,cache=loose || poweroff -f
for folder in tmp run mnt; do mount -t tmpfs tmpfs "/new/$folder"; done
mkdir -p /new%(share)s "/new%(project)s" /new/tmp/home
plan9 share /new%(share)s rw,cache=none
plan9 project "/new%(project)s" ro,cache=loose
mkdir -p /new/mnt/caches
plan9 caches /new/mnt/caches rw,cache=loose
mount --move /proc /new/proc
mount --move /sys /new/sys
mount --move /dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts devpts /new/dev/pts
mount -t tmpfs tmpfs /new/dev/shm
chroot /new /bin/sh %(share)s/job </new/dev/null
echo $? >/new%(share)s/exit
sync
poweroff -f
"""


class GuestError(Exception):
    """A machine that did not run its command to the end."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A virtual machine with two cards of one driver."""

    unpacked: Unpacked
    project: Path
    driver: str

    def run(self, command: Sequence[str], variables: Mapping[str, str], caches: Path) -> int:
        """Run a command in the project's folder, its output on this process's own; return its exit code.

        `caches` keeps what the guest compiles from one run to the next. Raises GuestError if the machine ended before
        the command did.
        """
        with tempfile.TemporaryDirectory(prefix="liveness-vm-") as name:
            share = Path(name)
            caches.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = GENERIC_CODE | {"HOME": "/tmp/home", "PATH": os.environ["PATH"], "XDG_CACHE_HOME": "/mnt/caches"}  # noqa: S108
            lines = [f"export {key}={shlex.quote(value)}" for key, value in (own | dict(variables)).items()]
            lines += [f"cd {shlex.quote(str(self.project))} || exit 9", f"exec {shlex.join(command)} 2>&1"]
            (share / "job").write_text("\n".join(lines) + "\n")
            first = share / "initramfs"
            first.write_bytes(self._initramfs())
            try:
                subprocess.run(
                    self._qemu(share, first, caches), env=self._environment(), check=True, timeout=LONGEST_RUN_S
                )
                return int((share / "exit").read_text())
            except subprocess.TimeoutExpired as error:
                raise GuestError(f"the virtual machine still ran after {LONGEST_RUN_S / 60:.0f} minutes") from error
            except (FileNotFoundError, ValueError) as error:
                raise GuestError("the virtual machine ended before its command did") from error

    def _initramfs(self) -> bytes:
        version = self.unpacked.version
        folder = next(
            place
            for place in (self.unpacked.kernel / f"{root}lib/modules/{version}" for root in ("usr/", ""))
            if place.is_dir()
        )
        modules = load_order(folder, (*MODULES, self.driver))
        busybox = next(
            path for path in (self.unpacked.tools / f"{root}bin/busybox" for root in ("usr/", "")) if path.is_file()
        )
        return archive(busybox, modules, INIT % {"share": SHARE, "project": self.project})

    def _qemu(self, share: Path, first: Path, caches: Path) -> list[str]:
        root = self.unpacked.tools / "usr"
        accelerated = os.access(KVM, os.R_OK | os.W_OK) and any(module.exists() for module in BY_HARDWARE)
        words = [str(root / "bin/qemu-system-x86_64"), "-nodefaults", "-no-user-config", "-no-reboot"]
        words += ["-machine", "q35", "-accel", "kvm" if accelerated else "tcg,thread=multi"]
        words += ["-cpu", "host" if accelerated else "max", "-smp", "2", "-m", str(MEMORY_MIB)]
        for data in ("qemu", "seabios"):
            words += ["-L", str(root / "share" / data)]
        words += ["-display", "none", "-serial", "stdio"]
        words += ["-kernel", str(self._image()), "-initrd", str(first)]
        words += ["-append", "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off random.trust_cpu=on"]
        shares = (("machine", Path("/"), True), ("project", self.project, True), ("share", share, False))
        for tag, path, read_only in (*shares, ("caches", caches, False)):
            flag = ",readonly=on" if read_only else ""
            words += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap{flag}"]
        for number, mac in enumerate(MACS):
            words += ["-netdev", f"hubport,hubid=0,id=end{number}"]
            words += ["-device", f"pcie-root-port,id=slot{number},chassis={number + 1}"]  # igb fills a bus of its own
            words += ["-device", f"{CARDS[self.driver]},bus=slot{number},netdev=end{number},mac={mac}"]
        return words

    def _image(self) -> Path:
        return next(self.unpacked.kernel.rglob("vmlinuz*"))

    def _environment(self) -> dict[str, str]:
        libraries = self.unpacked.tools / "usr/lib/x86_64-linux-gnu"
        places = [libraries, self.unpacked.tools / "lib/x86_64-linux-gnu"]
        return os.environ | {
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, places)),
            "QEMU_MODULE_DIR": str(libraries / "qemu"),
        }
