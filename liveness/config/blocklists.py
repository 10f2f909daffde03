"""Blocklists: files of opt-out requests; the union of those that were not withdrawn is blocked."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from liveness.config.requests import Entry, Reason, lines_of, requests_in, withdrawn_line
from liveness.errors import LivenessError, UsageError
from liveness.files.atomic import replaced
from liveness.files.locks import HeldError, held, hold
from liveness.files.outputs import destination
from liveness.files.reading import MIB, TooLargeError, read_bytes
from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals
from liveness.space.prefixes import Skipped, Stream, open_bytes

LOCK_WAIT_S: Final = 10.0
LIST_BYTES: Final = 128 * MIB
"""Lists of millions of requests are smaller."""
SHOWN_REQUESTS: Final = 5
"""How many requests a message lists."""
NEW_FILE: Final = (
    "# Addresses that are never probed: one request a line, '#' starts a comment: date, who asked, why.\n"
    "# Kept by `liveness blocklist`; ZMap's blocklists have the same form.\n"
)


def read_requests(path: str | Path, skipped: Skipped | None = None) -> list[Entry]:
    """Return every request of a list file in order, withdrawn ones too, of standard input for ``-``.

    UsageError names the file, the line and the value: unreadable, or an entry that is no IPv4 prefix, range or address.
    Lines of IPv6 are counted in `skipped` instead, if that is given.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        with open_bytes(path) as stream:
            content = _content(stream)
    except OSError as error:
        raise UsageError(f"{name}: cannot read the blocklist: {(error.strerror or str(error)).lower()}") from error
    return list(requests_in(lines_of(content), name, skipped))


def _content(stream: Stream) -> bytes:
    """Return all of a list. Raises OSError for more than a list has."""
    parts, size = [], 0
    while part := stream.read(MIB):
        parts.append(part)
        size += len(part)
        if size > LIST_BYTES:
            raise TooLargeError(size, LIST_BYTES)
    return b"".join(parts)


def read_list(path: str | Path) -> list[Entry]:
    """Return the requests of a list that are in force, lines of IPv6 left out; else as `read_requests`."""
    return in_force(read_requests(path, Skipped()))


def in_force(requests: Sequence[Entry]) -> list[Entry]:
    """Return those requests that were not withdrawn."""
    return [request for request in requests if request.withdrawn is None]


def intervals_of(entries: Sequence[Entry]) -> Intervals:
    """Return all addresses that some requests in force block."""
    return Intervals.from_bounds([entry.first for entry in entries], [entry.last for entry in entries])


def covering(entries: Sequence[Entry], first: int, last: int) -> list[Entry]:
    """Return the requests that block any address from `first` to `last`, in the order of their lines."""
    return [entry for entry in entries if entry.first <= last and entry.last >= first]


def add(path: Path, wanted: Sequence[Entry], reason: Reason) -> list[Entry]:
    """Append requests to a list, as prefixes, a line each; return those of `wanted` that are new.

    Every request is recorded, also where the space is blocked by another one already; except one that the same person
    made before and did not withdraw. An entry that has a comment keeps it, others get the reason. The lines of the file
    stay as they are; a missing file is made. All or nothing: the file is replaced by rename. Raises UsageError for a
    list that cannot be read.
    """
    with _locked([path]) as [file]:
        content = read_bytes(file, LIST_BYTES) if file.exists() else NEW_FILE.encode()
        known = {request.key for request in in_force(list(requests_in(lines_of(content), str(path), Skipped())))}
        new, lines = [], []
        for entry in wanted:
            comment = entry.comment or str(reason)
            request = Entry("", 0, entry.text, entry.first, entry.last, comment)
            if request.key in known:
                continue
            missing = [part for part in _as_prefixes(request) if part.key not in known]
            known.add(request.key)
            known.update(part.key for part in missing)
            if missing:
                new.append(entry)
                lines += [f"{part.text:<19} # {comment}\n" for part in missing]
        if lines:
            newline = b"" if content.endswith(b"\n") or not content else b"\n"
            _replace(file, content + newline + "".join(lines).encode("utf-8", "surrogateescape"))
    return new


def withdraw(
    paths: Sequence[Path], wanted: Sequence[Entry], reason: Reason, *, who: str | None = None, inside: bool = False
) -> list[Entry]:
    """Withdraw the requests for exactly what each of `wanted` names, by making comments of them, and return them.

    `who` names the person who made the request; it may be left out if only one person did. `inside` selects all
    requests within each of `wanted`, of everybody or of that person. All or nothing. UsageError names the requests
    concerned if no request matches, if one covers a part only, or if several people made it.
    """
    paths = list(dict.fromkeys(paths))
    with _locked(paths) as files:
        contents = [lines_of(read_bytes(file, LIST_BYTES)) for file in files]
        names = [str(path) for path in paths]
        requests = [
            request
            for lines, name in zip(contents, names, strict=True)
            for request in in_force([*requests_in(lines, name, Skipped())])
        ]
        found: dict[tuple[str, int], Entry] = {}
        for entry in wanted:
            chosen = _inside(requests, entry, who) if inside else _exact(requests, entry, who)
            if not chosen:
                raise UsageError(_why_none(requests, entry, who, ", ".join(names)))
            found |= {(request.file, request.line): request for request in chosen}
        for file, lines, name in zip(files, contents, names, strict=True):
            taken = [request for request in found.values() if request.file == name]
            for request in taken:
                by = reason if who is not None else replace(reason, who=request.who.replace(",", ";"))
                lines[request.line - 1] = withdrawn_line(lines[request.line - 1], by)
            if taken:
                _replace(file, b"\n".join(lines))
    return list(found.values())


def described(requests: Sequence[Entry]) -> str:
    """Return requests as a message lists them, the first few of many."""
    shown = [f"{request.place} {request.text} ({request.who})" for request in requests[:SHOWN_REQUESTS]]
    more = len(requests) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def begin(path: Path) -> bool:
    """Make an empty list unless a file of that name exists; return whether it was made."""
    try:
        with path.open("x") as file:
            file.write(NEW_FILE)
    except FileExistsError:
        return False
    except OSError as error:
        raise LivenessError(f"{path}: cannot begin this blocklist: {error.strerror}") from error
    return True


def _as_prefixes(request: Entry) -> list[Entry]:
    """Return a request as one for each prefix of it: ZMap's lists have no ranges."""
    prefixes = Intervals.from_bounds([request.first], [request.last]).prefixes()
    return [Entry("", 0, prefix, *parse_entry(prefix), request.comment) for prefix in prefixes]


def _exact(requests: Sequence[Entry], wanted: Entry, who: str | None) -> list[Entry]:
    """Return the requests for exactly what is wanted, by that person; a range counts by its prefixes too."""
    whole = [request for request in requests if (request.first, request.last) == (wanted.first, wanted.last)]
    if not whole:
        bounds = {(request.first, request.last) for request in _as_prefixes(wanted)}
        whole = [request for request in requests if (request.first, request.last) in bounds]
        if {(request.first, request.last) for request in whole} != bounds:
            whole = []
    chosen = [request for request in whole if who in (None, request.who)]
    if len({request.who for request in chosen}) > 1:
        raise UsageError(
            f"{wanted.text}: several people asked for it: {described(chosen)}: say whose request it is with --who, or"
            " withdraw all with --all-inside"
        )
    return chosen


def _inside(requests: Sequence[Entry], wanted: Entry, who: str | None) -> list[Entry]:
    """Return all requests within what is wanted, by that person if one is named."""
    within = [request for request in requests if wanted.first <= request.first and request.last <= wanted.last]
    return [request for request in within if who in (None, request.who)]


def _why_none(requests: Sequence[Entry], wanted: Entry, who: str | None, where: str) -> str:
    """Return why nothing is withdrawn, and which requests overlap the one named."""
    by_whom = "" if who is None else f" by {who}"
    same = [request for request in requests if (request.first, request.last) == (wanted.first, wanted.last)]
    if same:
        return f"{wanted.text}: no request{by_whom} for it: {described(same)}: say whose request it is with --who"
    within = _inside(requests, wanted, None)
    if within:
        return (
            f"{wanted.text}: no request{by_whom} for exactly this, but {len(within):,} within it: {described(within)}:"
            " name the one that is withdrawn, or insist on all of them with --all-inside"
        )
    wider = covering(requests, wanted.first, wanted.last)
    if wider:
        return (
            f"{wanted.text}: no request{by_whom} for exactly this: {described(wider)} blocks more than that: withdraw"
            " that one, then add what shall stay blocked"
        )
    return f"{wanted.text}: no line of {where} blocks it: see `liveness blocklist check`"


@contextmanager
def _locked(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Lock the folders of lists while they are edited; yield the files, links followed."""
    with ExitStack() as held:
        files = []
        folders: set[tuple[int, int]] = set()
        for path in paths:
            try:
                file = destination(path.absolute())
                folder = file.parent.stat()
                if (folder.st_dev, folder.st_ino) not in folders:
                    held.enter_context(_held(file.parent, path))
                    folders.add((folder.st_dev, folder.st_ino))
            except OSError as error:
                raise UsageError(f"{path}: cannot edit this blocklist: {error.strerror}") from error
            files.append(file)
        try:
            yield files
        except OSError as error:
            name = error.filename or paths[0]
            raise UsageError(f"{name}: cannot edit this blocklist: {error.strerror}") from error


@contextmanager
def _held(directory: Path, path: Path) -> Iterator[None]:
    """Lock a folder, in at most LOCK_WAIT_S. RefusedError while another process holds it."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        hold(folder, LOCK_WAIT_S)
        yield
    except HeldError as problem:
        raise held(path, "another process edits lists in this folder", "try again", problem) from problem
    finally:
        os.close(folder)


def _replace(file: Path, content: bytes) -> None:
    """Replace a list by rename, with the permissions and the owner that it had."""
    before = file.stat() if file.exists() else None
    with replaced(file) as stream:
        if before is not None:
            os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
        stream.write(content)
