"""Object store of a fleet: S3, GCS, Azure or a directory, with the few operations that a fleet needs."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from liveness.errors import LivenessError, UsageError, one_line
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.fleet.vantages import StorePlace

T = TypeVar("T")

REQUEST_S: Final = 10
"""Seconds that a request may take, and that it is tried again."""
PART_BYTES: Final = 8 << 20
"""Files are sent in parts of this size."""
TEXT_CHARS: Final = 300


class StoreError(LivenessError):
    """The store cannot be reached, or refused what was asked: try again later."""


@dataclass(frozen=True, slots=True)
class Store:
    """A place for objects by name. Operations raise StoreError, which names the store and its reason."""

    backend: Any
    url: str

    @classmethod
    def open(cls, place: StorePlace) -> "Store":
        """Open a store. Credentials come from the environment, such as AWS_ACCESS_KEY_ID. Nothing is sent yet.

        Raises UsageError for a store that cannot be opened.
        """
        try:
            if place.url.startswith("file://"):
                path = Path(place.url.removeprefix("file://"))
                Directory.make(path).close()
                return FileStore(path, place.url)
            return cls(from_url(place.url, **_options(place)), place.url)
        except (BaseError, OSError, ValueError) as problem:
            raise UsageError(f"{place.url}: cannot open this store: {_short(problem)}") from problem

    def put(self, name: str, content: bytes) -> None:
        """Write an object, in place of any other of this name."""
        self._call(name, lambda: obstore.put(self.backend, name, content))

    def create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none of this name; return whether it is the content that is there now."""
        try:
            self._call(name, lambda: obstore.put(self.backend, name, content, mode="create", use_multipart=False))
        except _ExistsError:  # also if the answer to a first try was lost
            return self.get(name) == content
        return True

    def put_file(self, name: str, folder: Directory, file: str) -> None:
        """Write a file as an object. Raises OSError if the file cannot be read."""
        with open(folder.open_file(file), "rb") as stream:  # noqa: PTH123 - a descriptor
            self._call(name, lambda: obstore.put(self.backend, name, stream, chunk_size=PART_BYTES))

    def get(self, name: str) -> bytes | None:
        """Return the content of an object; None if there is none."""
        found = self._found(name)
        return None if found is None else self._call(name, lambda: bytes(found.bytes()))

    def parts(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object in parts; StoreError if there is none."""
        found = self._found(name)
        if found is None:
            raise StoreError(f"{self.url}: {name}: no such object")
        parts = iter(found.stream(min_chunk_size=PART_BYTES))
        while (part := self._call(name, lambda: next(parts, None))) is not None:
            yield bytes(part)

    def tag(self, name: str) -> str | None:
        """Return what changes with the content of an object; None if there is none."""
        try:
            found = self._call(name, lambda: obstore.head(self.backend, name))
        except FileNotFoundError:
            return None
        return f"{found['e_tag']} {found['size']} {found['last_modified'].isoformat()}"

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects below a prefix, sorted."""
        found = self._call(prefix, lambda: list(obstore.list(self.backend, prefix, chunk_size=1000)))
        return sorted(entry["path"] for chunk in found for entry in chunk)

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders in a prefix, sorted."""
        found = self._call(prefix, lambda: obstore.list_with_delimiter(self.backend, prefix or None))
        return sorted(name.rpartition("/")[2] for name in found["common_prefixes"])

    def remove(self, name: str) -> None:
        """Remove an object, if it exists."""
        try:
            self._call(name, lambda: obstore.delete(self.backend, name))
        except FileNotFoundError:
            return

    def document(self, name: str, kind: type[T]) -> T | None:
        """Return an object as a document of a known shape; None if there is none. LivenessError if it has another."""
        content = self.get(name)
        return None if content is None else decoded(content, kind, Path(name), f"damaged object in {self.url}")

    def put_document(self, name: str, document: msgspec.Struct) -> None:
        """Write a document as an object, in place of any other of this name."""
        self.put(name, msgspec.json.encode(document))

    def create_document(self, name: str, document: msgspec.Struct) -> bool:
        """Write a document as `create` does."""
        return self.create(name, msgspec.json.encode(document))

    def _found(self, name: str) -> Any:  # noqa: ANN401 - obstore's result
        try:
            return self._call(name, lambda: obstore.get(self.backend, name))
        except FileNotFoundError:
            return None

    def _call(self, name: str, request: Callable[[], T]) -> T:
        """Make a request. Raises _ExistsError, FileNotFoundError, and StoreError for any other failure."""
        try:
            return request()
        except (AlreadyExistsError, PreconditionError) as problem:
            raise _ExistsError from problem
        except FileNotFoundError:
            raise
        except (BaseError, OSError, ValueError) as problem:  # ValueError: a name that the store does not take
            raise StoreError(f"{self.url}: {name}: {_short(problem)}") from problem


class _ExistsError(Exception):
    """There is an object of this name already."""


class FileStore(Store):
    """A directory as a store: `backend` is its path. No link in it is followed, to read, to write or to remove.

    A user who can write in the directory cannot lead root, which works there, elsewhere. Names that begin with a dot
    are temporary files.
    """

    def put(self, name: str, content: bytes) -> None:
        """Write an object, in place of any other of this name."""
        with self._to_write(name) as folder:
            folder.write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none of this name; return whether it is the content that is there now."""
        with self._to_write(name) as folder:
            try:
                folder.create(name, content)
            except FileExistsError:
                return self.get(name) == content
        return True

    def put_file(self, name: str, folder: Directory, file: str) -> None:
        """Write a file as an object. Raises OSError if the file cannot be read."""
        with (
            open(folder.open_file(file), "rb") as stream,  # noqa: PTH123 - a descriptor
            self._to_write(name) as target,
            target.replaced(name) as copy,
        ):
            shutil.copyfileobj(stream, copy, PART_BYTES)

    def get(self, name: str) -> bytes | None:
        """Return the content of an object; None if there is none."""
        with self._to_read(name) as stream:
            return None if stream is None else stream.read()

    def parts(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object in parts; StoreError if there is none."""
        with self._to_read(name) as stream:
            if stream is None:
                raise StoreError(f"{self.url}: {name}: no such object")
            while part := stream.read(PART_BYTES):
                yield part

    def tag(self, name: str) -> str | None:
        """Return what changes with the content of an object; None if there is none."""
        with self._to_read(name) as stream:
            if stream is None:
                return None
            status = os.fstat(stream.fileno())
            return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects below a prefix, sorted."""
        with self._opened(prefix) as folder:
            return [] if folder is None else sorted(_below(folder, prefix))

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders in a prefix, sorted."""
        with self._opened(prefix) as folder:
            if folder is None:
                return []
            return [name for name in folder.names() if not name.startswith(".") and folder.is_directory(name)]

    def remove(self, name: str) -> None:
        """Remove an object, if it exists."""
        with self._opened() as folder:
            if folder is not None:
                folder.remove(name)

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        """Name the store, the object and the reason of what fails, as a StoreError."""
        try:
            yield
        except OSError as problem:
            raise StoreError(f"{self.url}: {name}: {one_line(problem.strerror or str(problem))}") from problem

    @contextmanager
    def _opened(self, below: str = "") -> Iterator[Directory | None]:
        """Open the directory of the store, or a folder in it; None if it does not exist."""
        with self._named(below):
            try:
                found = Directory.open(self.backend, below)
            except (FileNotFoundError, NotADirectoryError):
                found = None
            with found or nullcontext():
                yield found

    @contextmanager
    def _to_write(self, name: str) -> Iterator[Directory]:
        """Open the directory of the store, with the folder of an object in it, which are made if they are missing."""
        with self._named(name), Directory.make(self.backend) as folder:
            folder.make_directory(name.rpartition("/")[0]).close()
            yield folder

    @contextmanager
    def _to_read(self, name: str) -> Iterator[BinaryIO | None]:
        """Open an object; None if there is none."""
        with self._named(name):
            try:
                with Directory.open(self.backend) as folder:
                    stream = os.fdopen(folder.open_file(name), "rb")
            except (FileNotFoundError, NotADirectoryError):
                stream = None
            with stream or nullcontext():
                yield stream


def _below(folder: Directory, prefix: str, inner: str = "") -> Iterator[str]:
    """Yield the names of all files below a folder, without links and temporary files."""
    for name in folder.names(inner):
        path = f"{inner}/{name}" if inner else name
        if name.startswith("."):
            continue
        if folder.is_directory(path):
            yield from _below(folder, prefix, path)
        elif folder.is_file(path):
            yield f"{prefix}/{path}" if prefix else path


def _options(place: StorePlace) -> dict[str, Any]:
    """Return the options of a store that is reached by HTTP."""
    client: dict[str, Any] = {"timeout": f"{REQUEST_S}s", "connect_timeout": f"{REQUEST_S}s"}
    options: dict[str, Any] = {}
    if place.allow_http:
        client["allow_http"] = True
    if place.endpoint:
        options |= {"endpoint": place.endpoint, "virtual_hosted_style_request": False}
    if place.region:
        options["region"] = place.region
    retry = {"max_retries": 3, "retry_timeout": timedelta(seconds=REQUEST_S)}
    return {"config": options or None, "client_options": client, "retry_config": retry}


def _short(problem: BaseException) -> str:
    """Return the first sentence of an error of obstore, which appends its inner structure over many lines."""
    return one_line(str(problem).strip().partition("\n")[0])[:TEXT_CHARS] or type(problem).__name__
