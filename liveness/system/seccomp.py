"""Seccomp: keeps this process from opening sockets, starting programs, and sending through given sockets.

A filter over system calls, seccomp(2). Calls that it does not name stay allowed: mapped rings, open pipes and writing
files work. Files can be opened for reading only if the process asks for that.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from typing import Final

from liveness.system.bpf import (
    JUMP,
    JUMP_EQUAL,
    JUMP_GREATER_EQUAL,
    JUMP_SET,
    LD_WORD,
    RETURN,
    Instruction,
    Program,
    assemble,
)
from liveness.system.child import libc

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER = 21, 22, 2
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32: Final = 0x40000000
_CLONE_THREAD: Final = 0x00010000
_AND: Final = 0x54

_ARCHITECTURES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""By machine: the kernel's name for it (AUDIT_ARCH), and its column in the table."""

_DENIED: Final[dict[str, tuple[int | None, int | None]]] = {
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "connect": (42, 203), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "setsockopt": (54, 208), "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "kcmp": (312, 272), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "open_by_handle_at": (304, 265), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "io_setup": (206, 0), "io_submit": (209, 2),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
"""Refused with EPERM, by their numbers on x86_64 and on aarch64."""
_ABSENT: Final = {"clone3": (435, 435), "openat2": (437, 437)}
"""Refused with ENOSYS: a filter cannot see the arguments in memory; C libraries then use the older calls."""
_SENDING: Final = {
    "write": (1, 64), "writev": (20, 66), "pwrite64": (18, 68), "pwritev": (296, 70), "pwritev2": (328, 287),
    "sendfile": (40, 71), "fcntl": (72, 25), "ioctl": (16, 29),
}  # fmt: skip
"""Refused with EPERM where their first argument is a socket to receive from: write(2) on a packet socket sends."""
_SPLICE: Final = (275, 76)
"""Refused where its third argument, the descriptor it writes to, is such a socket."""
_OPEN: Final = {"open": ((2, None), 1), "openat": ((257, 56), 2)}
"""Refused with EACCES unless for writing alone, to look at a directory, or to name a place (O_PATH), which reads
nothing; which argument holds the flags."""
_CLONE: Final = (56, 220)


def is_available() -> bool:
    """Return whether this kernel filters system calls and the calls of this machine are known here."""
    return platform.machine() in _ARCHITECTURES and int(libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0)) >= 0


def confine(receiving: Sequence[int] = (), *, reading: bool = False) -> None:
    """Apply the filter to this thread and to those that it starts. `no_new_privs` must be set.

    OSError where that fails.

    `receiving` are the descriptors of sockets through which nothing may be sent; with `reading` files may be read.
    """
    if not is_available():
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    program = confinement(platform.machine(), receiving, reading=reading)
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(instructions)))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(header), 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def confinement(machine: str, receiving: Sequence[int] = (), *, reading: bool = False) -> Program:
    """Return the filter for a machine, x86_64 or aarch64; see `confine`."""
    architecture, column = _ARCHITECTURES[machine]
    source: list[Instruction | str] = [
        Instruction(LD_WORD, _ARCHITECTURE_AT),
        Instruction(JUMP_EQUAL, architecture, "", "kill"),
        Instruction(LD_WORD, _NUMBER_AT),
        Instruction(JUMP_GREATER_EQUAL, _X32, "EPERM", ""),  # the same calls under other numbers
    ]
    refused: list[tuple[tuple[int | None, int | None], str]] = [(calls, "EPERM") for calls in _DENIED.values()]
    for name, calls in _ABSENT.items():
        if not (reading and name == "openat2"):  # with O_PATH nothing is read
            refused.append((calls, "ENOSYS"))
    for numbers, verdict in refused:
        number = numbers[column]
        if number is not None:
            source.append(Instruction(JUMP_EQUAL, number, verdict, ""))
    opening = {name: (numbers[column], flags) for name, (numbers, flags) in _OPEN.items() if not reading}
    for name, (opens, _) in opening.items():
        if opens is not None:
            source.append(Instruction(JUMP_EQUAL, opens, name, ""))
    source += [Instruction(JUMP_EQUAL, numbers[column], "first", "") for numbers in _SENDING.values()]
    source += [Instruction(JUMP_EQUAL, _SPLICE[column], "third", "")]
    source += [Instruction(JUMP_EQUAL, _CLONE[column], "clone", "allow")]
    source += ["clone", _argument(0), Instruction(JUMP_SET, _CLONE_THREAD, "allow", "EPERM")]
    source += _sending(receiving)
    for name, (opens, flags) in opening.items():
        if opens is None:
            continue
        source += [
            name,
            _argument(flags),
            Instruction(JUMP_SET, os.O_DIRECTORY | os.O_PATH, "allow", ""),
            Instruction(_AND, os.O_ACCMODE),
            Instruction(JUMP_EQUAL, os.O_WRONLY, "allow", "EACCES"),
        ]
    for verdict in ("EPERM", "EACCES", "ENOSYS"):
        source += [verdict, Instruction(RETURN, _ERRNO | getattr(errno, verdict))]
    source += ["kill", Instruction(RETURN, _KILL), "allow", Instruction(RETURN, _ALLOW)]
    return assemble(source)


def _sending(receiving: Sequence[int]) -> list[Instruction | str]:
    """Return the part that refuses calls whose argument is one of the descriptors `receiving`."""
    source: list[Instruction | str] = []
    for label, argument in (("first", 0), ("third", 2)):
        compared = [Instruction(JUMP_EQUAL, descriptor, "EPERM", "") for descriptor in receiving]
        source += [label, _argument(argument), *compared, Instruction(JUMP, 0, "allow", "")]
    return source


def _argument(index: int) -> Instruction:
    """Return the instruction that loads the lower half of an argument of the call (little-endian machines)."""
    return Instruction(LD_WORD, _ARGUMENTS_AT + 8 * index)
