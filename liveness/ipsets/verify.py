"""Verification of set files against a manifest: every byte by SHA-256, every address by the count."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from liveness.errors import LivenessError
from liveness.files.reading import open_regular
from liveness.ipsets.portable_index import PortableSet
from liveness.ipsets.roaring import SetDigest


def open_verified(path: Path, expected: SetDigest) -> PortableSet:
    """Read a whole file, compare it with its digest, and return its index.

    Raises LivenessError that names the file and what is wrong with it.
    """
    try:
        with open_regular(path) as file:
            found = hashlib.file_digest(
                file, "sha256"
            ).hexdigest()  # hashing releases the interpreter's lock, so threads share the work
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read this set: {problem.strerror}") from problem
    if found != expected.sha256:
        raise LivenessError(f"{path}: damaged: its SHA-256 is {found}, the manifest says {expected.sha256}")
    result = PortableSet.open(path)
    if result.index.cardinality != expected.cardinality:
        raise LivenessError(
            f"{path}: damaged: it holds {result.index.cardinality} addresses, the manifest says {expected.cardinality}"
        )
    return result


def open_all_verified(files: Iterable[tuple[Path, SetDigest]], threads: int) -> list[PortableSet]:
    """Verify and index many files, in threads. Raises LivenessError that names the first that is wrong."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(open_verified, path, expected) for path, expected in files]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
