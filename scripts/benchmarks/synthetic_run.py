"""A synthetic run with the sizes of a whole census: sets as Bano et al. 2018 saw them, by a seed, written by a kernel.

Only the shape is real: how many addresses are alive in how many /24s, which share of them answered what, and how many
states that makes. Addresses of one /24 resemble each other, as they do on the Internet.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.ipsets.portable_index import BITMAP_BYTES, COOKIE_WITHOUT_RUNS, LARGEST_ARRAY
from liveness.ipsets.roaring import SetDigest
from liveness.kernel import int64, kernel, uint64
from liveness.mixing import GOLDEN_GAMMA, mix64
from liveness.replies import CONTROL, Kind, ReplyKey, Role, SetKey, roles_of
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.rundir import RunDirectory
from liveness.runs.set_entry import SetEntry

TARGETS: Final = 3_600_000_000
KEYS: Final = 23_000
"""The /16s in which anything is alive, of the 56,832 below 224.0.0.0 less 10/8 and 127/8."""
ACTIVE_24: Final = 0.9
"""The share of their /24s that are active: 5.3 million."""
DENSITY_POWER: Final = 1.8
"""The share of a /24's addresses that are alive is u ** 1.8, u uniform: 92 of 256 in the mean."""
PROFILES: Final = 16
STATES: Final = 1 << 14
"""Different states that the addresses of one profile are in."""
OWN_PROFILE: Final = 0.75
"""How many addresses of a /24 have its profile; the others have any."""

ECHO: Final = 0.79
SYN_ACK: Final = {"tcp/22": 0.0436, "tcp/23": 0.0199, "tcp/80": 0.1357, "tcp/443": 0.1061, "tcp/7547": 0.0597}
RST: Final = {"tcp/22": 0.2686, "tcp/23": 0.2183, "tcp/80": 0.1745, "tcp/443": 0.2617, "tcp/7547": 0.2704}
ANSWER: Final = {"dns": 0.012, "ntp": 0.014}
PAYLOAD: Final = {"dns": 0.006, "ntp": 0.002}
"""Shares of the 487 M alive; those of the ports are the counts published for 4 September 2017."""
ERRORS: Final = {(3, 0): 0.0007, (3, 1): 0.0012, (3, 3): 0.0024, (3, 10): 0.0007, (3, 13): 0.004, (11, 0): 0.0006}
UDP_PORT_UNREACHABLE: Final = 0.03
CONTROL_ERRORS: Final = ((3, 0), (3, 1), (3, 3), (3, 13))

Reply = tuple[ReplyKey, float]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one /8 adds to every set: container after container, and how many addresses are in each."""

    keys: NDArray[np.int64]
    content: NDArray[np.uint8]
    begins: NDArray[np.int64]
    """Where each set's bytes begin, and behind the last where they end."""
    sizes: NDArray[np.int64]
    """By set and key; 0 where the set has no container."""


def replies() -> list[Reply]:
    """Return every class of replies, with the share of the alive that sent it."""
    classes: list[Reply] = [(ReplyKey("icmp", Kind.ECHO_REPLY), ECHO)]
    for shares, kind in ((SYN_ACK, Kind.SYN_ACK), (RST, Kind.RST), (ANSWER, Kind.ANSWER), (PAYLOAD, Kind.PAYLOAD)):
        classes += [(ReplyKey(probe, kind), share) for probe, share in shares.items()]
    classes += [(ReplyKey(CONTROL, Kind.SYN_ACK), 0.004), (ReplyKey(CONTROL, Kind.RST), 0.02)]
    for probe in ("icmp", *SYN_ACK, *ANSWER):
        for error, share in ERRORS.items():
            udp = probe in ANSWER and error == (3, 3)
            classes.append((ReplyKey(probe, Kind.ERROR, *error), UDP_PORT_UNREACHABLE if udp else share))
    return classes + [(ReplyKey(CONTROL, Kind.ERROR, *error), ERRORS[error]) for error in CONTROL_ERRORS]


def write_synthetic_run(output: Path, scale: float = 1.0, seed: int = 73) -> RunDirectory:
    """Write a run below `output`, whole or a share of it, as fast as two cores and the disk allow."""
    classes = replies()
    random = np.random.default_rng(seed)
    keys = _keys(max(1, round(KEYS * scale)))
    state_ends, members = _states(classes, random)
    present = _presence(classes, keys, random)
    run = RunDirectory.create(output, "synthetic", "2026-11-21T000000Z")
    set_keys = [SetKey(reply, role) for reply, _ in classes for role in roles_of(reply.kind)]
    places = {reply: at for at, (reply, _) in enumerate(classes)}
    files = [_GrowingSet(run.path / key.file, int(present[places[key.reply]].sum())) for key in set_keys]
    with ExitStack() as stack:
        for file in files:
            stack.callback(file.close)
        for piece in _pieces(keys, present, state_ends, members, seed):
            place = 0
            for at, (reply, _) in enumerate(classes):
                content = piece.content[piece.begins[at] : piece.begins[at + 1]]
                for _role in roles_of(reply.kind):  # all roles alike: nobody replies for another here
                    files[place].append(content, piece.keys, piece.sizes[at])
                    place += 1
        with ThreadPoolExecutor(2) as pool:
            digests = list(pool.map(_GrowingSet.finish, files))
    run.write_manifest(_manifest(classes, set_keys, digests, scale))
    return run


def _keys(count: int) -> NDArray[np.int64]:
    """Return the upper 16 bits of the populated /16s, evenly over what is routed."""
    upper = np.arange(1 << 8, 224 << 8)
    routed = upper[(upper >> 8 != 10) & (upper >> 8 != 127)]  # noqa: PLR2004 - RFC 1918, RFC 1122
    chosen: NDArray[np.int64] = routed[np.arange(count) * len(routed) // count]
    return chosen


def _states(classes: list[Reply], random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Draw what the addresses of each state sent: places of classes, those of state n before ends[n]."""
    shares = np.array([share for _, share in classes])
    lists: list[NDArray[np.intp]] = []
    for _ in range(PROFILES):
        lean = np.clip(shares * random.lognormal(-0.4, 0.9, len(shares)), 0, 0.97)
        lean[0] = np.clip(ECHO + random.normal(0, 0.15), 0, 1)
        drawn = random.random((STATES, len(shares))) < lean * random.lognormal(-0.42, 1.0, (STATES, 1))
        drawn[~drawn.any(axis=1), 0] = True
        lists += [np.flatnonzero(row) for row in drawn]
    return np.cumsum([len(numbers) for numbers in lists]), np.concatenate(lists).astype(np.uint8)


def _presence(classes: list[Reply], keys: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.bool_]:
    """Return by class and key whether the set has a container: rare errors come from a part of the /16s."""
    likely = np.array([min(1.0, 400 * share) if reply.kind == Kind.ERROR else 1.0 for reply, share in classes])
    present = random.random((len(classes), len(keys))) < likely[:, None]
    present[~present.any(axis=1), 0] = True
    return present


def _pieces(
    keys: NDArray[np.int64],
    present: NDArray[np.bool_],
    state_ends: NDArray[np.int64],
    members: NDArray[np.uint8],
    seed: int,
) -> Iterator[Piece]:
    """Yield the pieces of all /8s in ascending order, two being made at a time."""
    at_work: deque[Future[Piece]] = deque()
    with ThreadPoolExecutor(2) as pool:
        for octet in np.unique(keys >> 8):
            chosen = keys >> 8 == octet
            at_work.append(pool.submit(_piece, keys[chosen], present[:, chosen], state_ends, members, seed))
            if len(at_work) > 2:  # noqa: PLR2004 - one waits to be written while two are made
                yield at_work.popleft().result()
        while at_work:
            yield at_work.popleft().result()


def _piece(
    keys: NDArray[np.int64],
    present: NDArray[np.bool_],
    state_ends: NDArray[np.int64],
    members: NDArray[np.uint8],
    seed: int,
) -> Piece:
    """Make one /8: the kernel writes containers key by key, and they are put in order set by set."""
    sets = len(present)
    parts: list[list[NDArray[np.uint8]]] = [[] for _ in range(sets)]
    sizes = np.zeros((sets, len(keys)), np.int64)
    lists, content = np.zeros((sets, 1 << 16), np.uint16), np.zeros(sets * BITMAP_BYTES, np.uint8)
    for place, key in enumerate(keys.tolist()):
        ends = populate(key, seed, present[:, place], state_ends, members, lists, sizes[:, place], content)
        whole = content[: ends[-1]].copy()
        for at, (begin, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
            parts[at].append(whole[begin:end])
    flat = [part for of_set in parts for part in of_set]
    lengths = [sum(len(part) for part in of_set) for of_set in parts]
    return Piece(keys, np.concatenate(flat), np.concatenate(([0], np.cumsum(lengths))), sizes)


@kernel
def populate(  # noqa: C901 - drawn and written in one go
    key: int,
    seed: int,
    present: NDArray[np.bool_],
    state_ends: NDArray[np.int64],
    members: NDArray[np.uint8],
    lists: NDArray[np.uint16],
    sizes: NDArray[np.int64],
    content: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """Draw one /16, write each set's container to `content` and its size to `sizes`; return where each ends."""
    sizes[:] = 0
    for row in range(256):
        drawn = mix64(uint64((seed << 40) + (key << 8) + row) * uint64(GOLDEN_GAMMA))
        if (drawn & uint64(0xFFFF)) >= uint64(int(ACTIVE_24 * 65536)):
            continue
        alive = uint64(int(((int64((drawn >> uint64(16)) & uint64(0xFFFF))) / 65536.0) ** DENSITY_POWER * 65536))
        profile = int64(drawn >> uint64(60))
        for host in range(256):
            low = row * 256 + host
            chance = mix64(uint64((seed << 40) + (1 << 36) + (key << 16) + low) * uint64(GOLDEN_GAMMA))
            if (chance & uint64(0xFFFF)) > alive:
                continue
            own = ((chance >> uint64(16)) & uint64(0xFFFF)) < uint64(int(OWN_PROFILE * 65536))
            kin = profile if own else int64((chance >> uint64(32)) & uint64(0xF))
            state = kin * STATES + int64(chance >> uint64(50))
            for at in range(state_ends[state - 1] if state else 0, state_ends[state]):
                member = int64(members[at])
                lists[member, sizes[member]] = low
                sizes[member] += 1
    ends = np.zeros(len(present), np.int64)
    at = 0
    for number in range(len(present)):
        if not present[number]:
            sizes[number] = 0
        elif sizes[number] == 0:  # the header counts on it
            lists[number, 0] = key & 0xFF
            sizes[number] = 1
        if sizes[number] > LARGEST_ARRAY:
            content[at : at + BITMAP_BYTES] = 0
            for i in range(sizes[number]):
                low = int64(lists[number, i])
                content[at + (low >> 3)] |= 1 << (low & 7)
            at += BITMAP_BYTES
        else:
            for i in range(sizes[number]):
                content[at] = lists[number, i] & 0xFF
                content[at + 1] = lists[number, i] >> 8
                at += 2
        ends[number] = at
    return ends


class _GrowingSet:
    """A set file that grows by containers; its header is written when all are there."""

    def __init__(self, path: Path, containers: int) -> None:
        self.path = path
        self.described = np.zeros((containers, 2), "<u2")
        self.begins = np.zeros(containers, "<u4")
        self.containers = 0
        self.cardinality = 0
        self.header = 8 + self.described.nbytes + self.begins.nbytes
        self.end = self.header
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def append(self, content: NDArray[np.uint8], keys: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Add the containers of some keys; a size of 0 has none."""
        there = sizes > 0
        behind = self.containers + int(there.sum())
        sizes = sizes[there]
        taken = np.where(sizes > LARGEST_ARRAY, BITMAP_BYTES, 2 * sizes)
        self.described[self.containers : behind] = np.stack([keys[there], sizes - 1], axis=1)
        self.begins[self.containers : behind] = self.end + np.cumsum(taken) - taken
        os.pwrite(self.descriptor, content.data, self.end)
        self.containers, self.end, self.cardinality = behind, self.end + len(content), self.cardinality + sizes.sum()

    def finish(self) -> SetDigest:
        """Write the header and return what a manifest says of the file."""
        cookie = np.array([COOKIE_WITHOUT_RUNS, self.containers], "<u4")
        os.pwrite(self.descriptor, cookie.tobytes() + self.described.tobytes() + self.begins.tobytes(), 0)
        with self.path.open("rb") as file:
            return SetDigest(int(self.cardinality), hashlib.file_digest(file, "sha256").hexdigest())

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.descriptor)


def _manifest(classes: list[Reply], set_keys: list[SetKey], digests: list[SetDigest], scale: float) -> Manifest:
    """Return the manifest of the run; what is counted in packets is as small as a lab's."""
    targets = round(TARGETS * scale)
    probes = dict.fromkeys(reply.probe for reply, _ in classes)
    messages: dict[str, dict[str, int]] = {probe: {} for probe in probes}
    for key, digest in zip(set_keys, digests, strict=True):
        if key.role == Role.SOURCE:
            messages[key.reply.probe][key.reply.label] = digest.cardinality
    return Manifest(
        name="synthetic",
        run_id="2026-11-21T000000Z",
        status="complete",
        seed=73,
        config={"name": "synthetic"},
        started="2026-11-21T00:00:00Z",
        finished="2026-11-22T00:00:00Z",
        targets=targets,
        probes={probe: ProbeCounts(sent=[targets, targets]) for probe in probes},
        sets=[SetEntry.of(key, digest) for key, digest in zip(set_keys, digests, strict=True)],
        messages=messages,
        control_port=51833,
    )
