"""Filling frames: kernels that turn (probe, attempt, targets) into finished frames, in place in their ring slots.

Frames are seen as one flat array of 16-bit words, so that a frame is a place in it and no view has to be made for each.
"""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from liveness.kernel import chain, int64, kernel, uint64
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets.bytes import set_be16, set_be32
from liveness.packets.checksum import checksum, u32_sum
from liveness.probes.dispatch import specialised
from liveness.probes.run_constants import RunConstants
from liveness.probes.template import IP_AT


def flat_words(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], int]:
    """Return a ring's frames (slots, bytes), gaps between rows included, as flat words, and the words a row apart."""
    words = frames.view(np.uint16)
    step = words.strides[0] // words.itemsize
    length = (words.shape[0] - 1) * step + words.shape[1]
    return as_strided(words, (length,), (words.itemsize,)), step


@kernel
def put_template(words: NDArray[np.uint16], frame: int, templates: NDArray[np.uint16], probe: int) -> None:
    """Copy a probe's constant bytes into the frame at words[frame], which held another probe."""
    for i in range(templates.shape[1]):
        words[frame + i] = templates[probe, i]


@kernel
def hash_targets(targets: NDArray[np.uint32], numbers: np.void, hashes: NDArray[np.uint64]) -> None:
    """Write the hash of each target and a probe, given by its record of NUMBERS_DTYPE."""
    code, key0, key1 = uint64(numbers["code"]), numbers["key0"], numbers["key1"]
    for i in range(len(targets)):
        hashes[i] = cookie.cookie(uint64(targets[i]), code, key0, key1)


def _frames(
    words: NDArray[np.uint16],
    frame: int,
    step: int,
    numbers: np.void,
    sources: NDArray[np.uint32],
    attempt: int,
    targets: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
    now_ns: int,
) -> None:
    """Fill frames of one probe, whose verb `fill` is: the code of the kernels that `fill_frames` chooses from."""
    ip_sum, transport_sum = numbers["ip_sum"], numbers["transport_sum"]
    port_first, port_stride = numbers["port_first"], numbers["port_stride"]
    for i in range(len(targets)):
        target, hashed = int64(targets[i]), hashes[i]
        source = int64(sources[cookie.source_index(hashed, len(sources))])
        address_sum = u32_sum(source) + u32_sum(target)
        identification = cookie.ip_id(hashed)
        set_be16(words, frame, IP_AT + hdr.IPV4_ID, identification)
        set_be32(words, frame, IP_AT + hdr.IPV4_SOURCE, source)
        set_be32(words, frame, IP_AT + hdr.IPV4_DESTINATION, target)
        set_be16(words, frame, IP_AT + hdr.IPV4_CHECKSUM, checksum(ip_sum + address_sum + identification))
        port = cookie.source_port(hashed, port_first, port_stride, attempt)
        fill(words, frame, target, address_sum, transport_sum, hashed, port, attempt, now_ns)  # type: ignore[name-defined]  # noqa: F821 - of each file, see `specialised`
        frame += step


_ARGUMENTS: Final = ("words", "frame", "step", "numbers", "sources", "attempt", "targets", "hashes", "now_ns")
_frames_of: Final = chain("frames_of", _ARGUMENTS, specialised(_frames, "fill"), __file__)


@kernel
def fill_frames(
    words: NDArray[np.uint16],
    frame: int,
    step: int,
    numbers: np.void,
    sources: NDArray[np.uint32],
    attempt: int,
    targets: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
    now_ns: int,
) -> None:
    """Write everything that varies into frames of one probe and attempt, one for each target.

    The frames hold the probe's template and begin at words[frame], words[frame + step] and so on. `numbers` is the
    probe's record of NUMBERS_DTYPE, `sources` the scanner's addresses, `hashes` what `hash_targets` made of `targets`
    (host order), `now_ns` the send time since the epoch.
    """
    _frames_of(numbers["method"], words, frame, step, numbers, sources, attempt, targets, hashes, now_ns)


def finished_frame(constants: RunConstants, probe: int, attempt: int, target: int, now_ns: int) -> bytes:
    """Return one finished frame, to be shown or tested."""
    words = np.zeros(constants.templates.shape[1], np.uint16)
    targets, hashes = np.array([target], np.uint32), np.zeros(1, np.uint64)
    put_template(words, 0, constants.templates, probe)
    hash_targets(targets, constants.numbers[probe], hashes)
    fill_frames(words, 0, 0, constants.numbers[probe], constants.sources, attempt, targets, hashes, now_ns)
    return words.tobytes()[: constants.lengths[probe]]
