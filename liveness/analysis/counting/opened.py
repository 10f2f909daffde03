"""A run opened for the pass: its sets are verified, and those that numbers depend on are indexed for reading."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.kernels import Containers
from liveness.analysis.counting.layout import Layout, bits_of
from liveness.ipsets.portable_index import CONTAINERS, Index, PortableSet
from liveness.ipsets.verify import open_verified
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.runs.set_entry import SetEntry

NOTHING: Final = Index(np.zeros(0, np.uint16), np.zeros(0, np.int32), np.zeros(0, np.uint8), np.zeros(0, np.int64))
"""The index of a run without sets, so that concatenation has a type."""

OpenSet = Callable[[SetEntry], PortableSet]


def verified_in(directory: RunDirectory) -> OpenSet:
    """Return a function that opens a run's sets from disk and verifies each against the digest in the manifest."""
    return lambda entry: open_verified(directory.path / entry.file, entry.digest)


class OpenRun:
    """A run whose sets are all verified; sets that contribute to states are indexed."""

    def __init__(self, manifest: Manifest, open_set: OpenSet, pool: ThreadPoolExecutor) -> None:
        """Open every set, including target sets, so that damage of any file is reported.

        Raises LivenessError that names the first file that is missing or damaged.
        """
        self.manifest = manifest
        self.layout = Layout(manifest)
        self.entries = [entry for entry in manifest.sets if bits_of(entry)]

        def opened(entry: SetEntry) -> PortableSet | None:
            found = open_set(entry)
            return found if bits_of(entry) else None

        futures = [pool.submit(opened, entry) for entry in manifest.sets]
        try:
            self.sets = [found for future in futures if (found := future.result()) is not None]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        self.first = np.cumsum([0, *(len(members.index.keys) for members in self.sets)])[:-1]
        index = [NOTHING, *(members.index for members in self.sets)]
        self.keys = np.concatenate([part.keys for part in index])
        self.sizes = np.concatenate([part.sizes for part in index])
        self.forms = np.concatenate([part.forms for part in index])
        self.offsets = np.concatenate([part.offsets for part in index])

    @property
    def bytes(self) -> int:
        """The size in bytes of the sets that are read."""
        return sum(int(members.index.offsets[-1]) for members in self.sets)


class Reader:
    """Reader of one run by ranges of /16s; threads share it, each with a buffer of its own."""

    def __init__(self, run: OpenRun, planes: int, unit: int) -> None:
        self.run = run
        bounds = np.arange(0, CONTAINERS + 1, unit)
        spans = [np.searchsorted(members.index.keys, bounds) for members in run.sets]
        self.spans: NDArray[np.int64] = np.array(spans, np.int64).reshape(len(run.sets), len(bounds))
        masks = [run.layout.plane_masks(entry, planes) for entry in run.entries]
        self.masks: NDArray[np.uint8] = np.array(masks, np.uint8).reshape(len(masks), planes)

    def read(self, unit: int, buffer: "Buffer") -> Containers:
        """Read the containers of one range of /16s of all sets. Raises LivenessError that names the file."""
        run = self.run
        begin, stop = self.spans[:, unit], self.spans[:, unit + 1]
        at = run.first + np.arange(len(run.sets)) + begin  # into `offsets`, which has one more entry per set
        starts = run.offsets[at] if len(at) else np.zeros(0, np.int64)
        sizes = (run.offsets[at + stop - begin] if len(at) else starts) - starts
        places = np.cumsum(sizes + (sizes & 1)) - (sizes + (sizes & 1))  # 16-bit numbers need even offsets
        octets = buffer.of(int((sizes + (sizes & 1)).sum()))
        view = octets.data
        for number in np.flatnonzero(stop > begin).tolist():
            place = int(places[number])
            run.sets[number].read_into(view[place : place + int(sizes[number])], int(begin[number]), int(stop[number]))
        return Containers(
            keys=run.keys,
            sizes=run.sizes,
            forms=run.forms,
            offsets=run.offsets,
            masks=self.masks,
            cursors=run.first + begin,
            ends=run.first + stop,
            shifts=places - starts,
            numbers=octets.view(np.uint16),
            octets=octets,
        )


LEAST_BYTES: Final = 1 << 20


class Buffer:
    """Memory that is reused: allocating pages for every read would cost more than the read."""

    def __init__(self) -> None:
        self._memory = np.zeros(LEAST_BYTES, np.uint8)

    def of(self, size: int) -> NDArray[np.uint8]:
        """Return `size` bytes, an even number, whose content is undefined."""
        if size > len(self._memory):
            self._memory = np.zeros(1 << (size - 1).bit_length(), np.uint8)
        return self._memory[:size]
