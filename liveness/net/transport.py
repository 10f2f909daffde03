"""Transport of frames: selection of the fastest one whose trial succeeds, with the reasons against faster ones."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from liveness.errors import InterfaceDownError, InterfaceGoneError, LivenessError, UnsupportedError, UsageError
from liveness.net.links import carrier_awaited, find_link
from liveness.net.ring import TxRing
from liveness.net.system_calls import KERNEL, Kernel
from liveness.net.tx_datagram import DatagramTxRing
from liveness.net.tx_live import LiveTxRing
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.net.xdp import DEFAULT_TX_BUDGET

AUTO, NEVER, REQUIRE = "auto", "never", "require"
AF_XDP, AF_PACKET, XDP_LIVE = "af_xdp", "af_packet", "xdp_live"
ZERO_COPY, COPY = f"{AF_XDP} (zero-copy)", f"{AF_XDP} (copy)"

RECEIVE_FRAMES: Final = 2048
"""Receive memory (frames) of a card in zero-copy mode, if its driver does not report the length of its ring."""
MOST_RECEIVE_FRAMES: Final = 1 << 14
TRIAL_ETHERTYPE: Final = 0x88B5
"""Local experimental EtherType of IEEE 802, to which no stack responds."""
TRIAL_BYTES: Final = 60
"""Shortest Ethernet frame, without FCS."""
TRIAL_FRAMES: Final = 10
"""Largest number of trial frames per ring. One is enough unless the interface drops it."""
TRIAL_S: Final = 2.0
LIVE_TRIAL_S: Final = 20.0
"""Time for the trial of live frames, which starts a process."""
LOOPBACK: Final = "lo"
"""Loopback interface. Its frames have an Ethernet header, although its hardware type is not Ethernet."""


class ProvableRing(TxRing, Protocol):
    """Ring whose counters can be reset after its trial."""

    def count_from_here(self) -> None:
        """Restart `completed` and `errors` at 0."""
        ...


class DriverRefusedError(UnsupportedError):
    """A driver that takes no frames from XDP programs as it is now."""


def trial_frame(mac: bytes) -> bytes:
    """Return the frame of a trial, addressed from an interface to itself, so that no switch forwards it."""
    text = b"liveness: a trial of this transmit queue"
    return (mac + mac + TRIAL_ETHERTYPE.to_bytes(2, "big") + text).ljust(TRIAL_BYTES, b"\0")


def prove(ring: ProvableRing, name: str, frame: bytes, within_s: float = TRIAL_S) -> None:
    """Send `frame` through a new ring, called `name` in errors. Raises UnsupportedError if it is not sent in time.

    A frame that the interface drops is sent again, because its link may be down for a moment after the ring is opened.
    Raises InterfaceDownError and InterfaceGoneError too.
    """
    lengths = np.full(len(ring.frames), len(frame), np.uint16)
    deadline = time.monotonic() + within_s
    for _ in range(TRIAL_FRAMES):
        slot, _ = ring.reserve(1)
        ring.frames[slot, : len(frame)] = np.frombuffer(frame, np.uint8)
        ring.commit(1, lengths)
        try:
            left = ring.flush(max(0.0, deadline - time.monotonic()))
        except (InterfaceDownError, InterfaceGoneError, UnsupportedError):
            raise
        except LivenessError as error:
            raise UnsupportedError(f"{name}: {error}") from error
        if left:
            raise UnsupportedError(f"{name}: a trial frame has not left within {within_s:.0f} s")
        if ring.completed:
            ring.count_from_here()
            return
        if getattr(ring, "refused_by_driver", False):  # which no waiting changes
            break
        time.sleep(TRIAL_S / TRIAL_FRAMES)
    problem = getattr(ring, "refusal", None) or "has it a carrier?"
    raise UnsupportedError(f"{name}: the interface dropped {ring.errors} trial frames: {problem}")


@contextmanager
def _closed_unless_proven(ring: ProvableRing) -> Iterator[None]:
    """Close a ring if the body raises."""
    try:
        yield
    except BaseException:
        ring.close()
        raise


@dataclass(frozen=True, slots=True)
class Transport:
    """Transmit rings of a scan, one per sender, with their names and the reasons why faster ones are not used."""

    rings: Sequence[TxRing]
    names: Sequence[str]
    """Transport of each ring: ``af_xdp (zero-copy)``, ``af_xdp (copy)``, ``af_packet`` or ``xdp_live``."""
    reasons: Sequence[str]
    """One line for each transport that was tried and refused, or that is slower here than elsewhere."""

    @property
    def name(self) -> str:
        """Names of the transports in use, each once."""
        return " + ".join(dict.fromkeys(self.names))


def open_transport(
    interface: str,
    senders: int,
    longest_frame: int,
    multiple_of: int,
    transport: str,
    zero_copy: str,
    *,
    ethernet: bool = True,
    kernel: Kernel = KERNEL,
) -> Transport:
    """Open one ring per sender for frames of up to `longest_frame` bytes, with a multiple of `multiple_of` slots.

    Each ring has sent a trial frame, from the interface to itself, before it is returned (`prove`). `transport` is
    auto, af_xdp, af_packet or xdp_live; `zero_copy` is auto, never or require. Raises UnsupportedError if a required
    transport fails, and UsageError if these two exclude each other. With auto, each ring uses the first that works of
    AF_XDP in zero-copy mode, AF_XDP in copy mode, and PACKET_TX_RING. Copy mode is faster than PACKET_TX_RING even
    where the kernel sends 32 frames per call (``scripts/bench budget``). Live frames are never chosen by auto: they
    need more privileges, occupy a core at any rate, and pass by the firewall and the captures of this host.

    Without `ethernet`, the interface takes IP packets, which are sent as messages of a packet socket. There is no trial
    then, because receivers may not ignore an IP packet. Raises UnsupportedError if AF_XDP is required.
    """
    if transport == XDP_LIVE and zero_copy == REQUIRE:
        raise UsageError("network.zero_copy: require: xdp_live copies each frame: set network.zero_copy to auto")
    if not ethernet:
        return _open_without_ethernet(interface, senders, longest_frame, multiple_of, transport, zero_copy)
    ways = Ways(interface, longest_frame, multiple_of, kernel)
    rings: list[TxRing] = []
    names: list[str] = []
    try:
        with ways.pass_program(wanted=zero_copy == REQUIRE and transport != AF_PACKET):
            for sender in range(senders):
                name, ring = _open_one(ways, sender, transport, zero_copy)
                names.append(name)
                rings.append(ring)
    except BaseException:
        for ring in rings:
            ring.close()
        raise
    return Transport(rings, names, tuple(dict.fromkeys(ways.reasons)))


def _open_without_ethernet(
    interface: str, senders: int, longest_frame: int, multiple_of: int, transport: str, zero_copy: str
) -> Transport:
    reason = f"interface {interface} takes IP packets without an Ethernet header: AF_XDP cannot name their protocol"
    if transport == XDP_LIVE:
        raise UnsupportedError(
            f"interface {interface} takes IP packets without an Ethernet header, xdp_live sends Ethernet frames:"
            " set network.transport to auto or af_packet"
        )
    if transport == AF_XDP or zero_copy == REQUIRE:
        raise UnsupportedError(f"{reason}: set network.transport to auto or af_packet, and network.zero_copy to auto")
    rings: list[TxRing] = [DatagramTxRing(interface, longest_frame, multiple_of) for _ in range(senders)]
    return Transport(rings, [AF_PACKET] * senders, () if transport == AF_PACKET else (reason,))


def _open_one(ways: "Ways", queue: int, transport: str, zero_copy: str) -> tuple[str, TxRing]:
    """Open the ring of sender number `queue`, by the first allowed transport that passes its trial."""
    refusal: UnsupportedError | None = None
    for name in ways_for(transport, zero_copy):
        try:
            return name, ways.open(name, queue, required=zero_copy == REQUIRE)
        except UnsupportedError as error:
            refusal = error
            ways.reasons.append(str(error))
    assert refusal is not None  # noqa: S101 - at least one transport was tried
    raise refusal


def ways_for(transport: str, zero_copy: str) -> tuple[str, ...]:
    """Return the names of the transports to try, fastest first."""
    if transport in (AF_PACKET, XDP_LIVE):
        return (transport,)
    if zero_copy == REQUIRE:
        return (ZERO_COPY,)
    modes = (COPY,) if zero_copy == NEVER else (ZERO_COPY, COPY)
    return modes if transport == AF_XDP else (*modes, AF_PACKET)


@dataclass
class Ways:
    """Transports of one interface, which are opened and tried per queue."""

    interface: str
    longest_frame: int
    multiple_of: int
    kernel: Kernel = KERNEL
    reasons: list[str] = field(default_factory=list)
    _program: int | None = None

    def __post_init__(self) -> None:
        """Read the properties of the interface. Raises UsageError if it takes no Ethernet frames."""
        link = find_link(self.interface)
        if not link.ethernet and self.interface != LOOPBACK:
            raise UsageError(f"interface {self.interface} takes no Ethernet frames: there is no trial for it")
        self._frame = trial_frame(link.mac)
        self.queues = self.kernel.transmit_queues(self.interface)

    def open(self, name: str, queue: int, *, required: bool = False) -> ProvableRing:
        """Open a ring of a named transport and send a trial frame through it. Raises UnsupportedError if that fails."""
        if name == XDP_LIVE:
            return self._open_live(queue)
        if name == AF_PACKET:
            ring: ProvableRing = PacketTxRing(self.interface, self.longest_frame, self.multiple_of, kernel=self.kernel)
        else:
            ring = self._open_xdp(queue, zero_copy=name == ZERO_COPY, required=required)
        with _closed_unless_proven(ring):
            prove(ring, self._label(name, queue), self._frame)
        return ring

    def _label(self, name: str, queue: int) -> str:
        return f"{name} on {self.interface}, queue {queue}"

    def _open_live(self, queue: int) -> LiveTxRing:
        """Open a ring of live frames, with a pass program if the driver takes frames only while a program is attached.

        The program stays attached only if it helps.
        """
        if self._program is not None:
            return self._proven_live(queue)
        try:
            return self._proven_live(queue)
        except DriverRefusedError as refusal:
            if self.kernel.program_attached(self.interface):
                raise
            try:
                self._attach()
                ring = self._proven_live(queue)
            except UnsupportedError:
                self.detach()
                raise refusal from None
        self.reasons.append(
            f"{XDP_LIVE} on {self.interface}: its driver sends frames of XDP programs only while one is attached to the"
            " interface: one that passes every packet to the host is attached until the scan ends"
        )
        return ring

    def _proven_live(self, queue: int) -> LiveTxRing:
        """Open a ring of live frames and send a trial frame. Raises DriverRefusedError if the driver takes none."""
        ring = LiveTxRing(self.interface, self.longest_frame, self.multiple_of, program=self._program)
        with _closed_unless_proven(ring):
            try:
                prove(ring, self._label(XDP_LIVE, queue), self._frame, LIVE_TRIAL_S)
            except UnsupportedError as error:
                if ring.refused_by_driver:
                    raise DriverRefusedError(str(error)) from error
                raise
        return ring

    def _open_xdp(self, queue: int, *, zero_copy: bool, required: bool) -> XdpTxRing:
        if queue >= self.queues:
            raise UnsupportedError(
                f"interface {self.interface} uses {self.queues} transmit queues, one for each AF_XDP sender:"
                f" set senders to {self.queues}, or network.transport to auto"
            )
        if zero_copy and not required and self.kernel.program_attached(self.interface):
            raise UnsupportedError(
                f"{ZERO_COPY} is not tried on {self.interface}: it would take the packets of the XDP program attached"
                " to it"
            )
        ring = XdpTxRing(
            self.interface,
            self.longest_frame,
            self.multiple_of,
            queue,
            zero_copy=zero_copy,
            receive_frames=self._receive_frames() if zero_copy else 0,
            program=self._program,
            kernel=self.kernel,
        )
        if not zero_copy and ring.frames_a_call == DEFAULT_TX_BUDGET:
            self.reasons.append(
                f"{COPY} sends {DEFAULT_TX_BUDGET} frames a call: this kernel has no XDP_MAX_TX_SKB_BUDGET (Linux 6.17)"
            )
        return ring

    def _receive_frames(self) -> int:
        """Return the number of frames of receive memory: twice the length of the card's receive ring."""
        held = self.kernel.receive_ring_frames(self.interface)
        if held is None:
            return RECEIVE_FRAMES
        return min(MOST_RECEIVE_FRAMES, 1 << (2 * held - 1).bit_length())

    @contextmanager
    def pass_program(self, *, wanted: bool) -> Iterator[None]:
        """Attach an XDP program that passes every packet to the host. Afterwards only the rings keep it attached."""
        try:
            if wanted:
                self._attach()
            yield
        finally:
            self.detach()

    def _attach(self) -> None:
        """Attach the pass program, and wait for the carrier, which some cards then lose for seconds."""
        with carrier_awaited(self.interface):
            self._program = self.kernel.attach_pass_program(self.interface)

    def detach(self) -> None:
        """Close our descriptor of the pass program, if it is attached; those of rings keep it attached."""
        if self._program is not None:
            os.close(self._program)
            self._program = None


@dataclass(frozen=True, slots=True)
class WayTrial:
    """Result of the trial of one transport."""

    interface: str
    way: str
    passed: bool
    frames_a_call: int | None
    """Largest number of frames per system call; None if the trial failed or a card takes the frames itself."""
    detail: str


def try_ways(interface: str, kernel: Kernel = KERNEL) -> tuple[WayTrial, ...]:
    """Try each transport on the first queue of an interface, with a trial frame from the interface to itself."""
    ways = Ways(interface, longest_frame=120, multiple_of=1, kernel=kernel)
    trials = []
    for name in (ZERO_COPY, COPY, AF_PACKET, XDP_LIVE):
        try:
            with ways.pass_program(wanted=False):
                ring = ways.open(name, 0)
        except LivenessError as error:
            trials.append(WayTrial(interface, name, passed=False, frames_a_call=None, detail=str(error)))
            continue
        a_call = {COPY: getattr(ring, "frames_a_call", None), AF_PACKET: len(ring.frames)}.get(name)
        trials.append(WayTrial(interface, name, passed=True, frames_a_call=a_call, detail="a trial frame has left"))
        ring.close()
    return tuple(trials)
