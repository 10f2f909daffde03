"""Stores: the same operations on memory, on files and on a real server of S3, with runs stored and fetched."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from liveness.errors import LivenessError, UsageError
from liveness.fleet import layout, opt_outs
from liveness.fleet.download import checked, download
from liveness.fleet.job import Outcome
from liveness.fleet.lease import Holder
from liveness.fleet.store import Store, StoreError
from liveness.fleet.upload import Upload, remove_others
from liveness.fleet.vantages import StorePlace
from tests.fleet.s3 import BUCKET, CREDENTIALS, server_of_s3
from tests.populations import town


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with server_of_s3(tmp_path_factory.mktemp("s3")) as port:
        yield port


@pytest.fixture(params=["memory", "files", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "memory":
        return Store(MemoryStore(), "memory")
    if request.param == "files":
        return Store.open(StorePlace(url=f"file://{tmp_path}/store"))
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    endpoint = f"http://127.0.0.1:{request.getfixturevalue('s3')}"
    url = f"s3://{BUCKET}/{tmp_path.name}"
    return Store.open(StorePlace(url=url, endpoint=endpoint, region="us-east-1", allow_http=True))


def test_objects_are_written_created_once_listed_and_removed(store: Store) -> None:
    assert store.get("a/b") is None
    assert store.tag("a/b") is None
    assert store.create("a/b", b"one")
    assert store.create("a/b", b"one"), "what a lost answer leaves is ours"
    assert not store.create("a/b", b"two")
    assert store.get("a/b") == b"one"
    before = store.tag("a/b")
    store.put("a/b", b"three")
    assert store.get("a/b") == b"three"
    assert store.tag("a/b") != before
    store.put("a/c/d", b"")
    assert store.names("a") == ["a/b", "a/c/d"]
    assert store.folders("a") == ["c"]
    store.remove("a/b")
    store.remove("a/b")
    assert store.names("a") == ["a/c/d"]
    assert b"".join(store.parts("a/c/d")) == b""
    with pytest.raises(StoreError, match="no such object"):
        list(store.parts("a/b"))


def test_a_lease_of_the_store_has_one_owner(store: Store) -> None:
    def holder(machine: str) -> Holder:
        return Holder(store, "job", "v0", machine, machine, "host", 1, 60.0)

    holder("a").take()
    with pytest.raises(LivenessError, match="is at work on it"):
        holder("b").take()
    assert holder("a").take() == 2


def test_a_stored_run_is_fetched_byte_for_byte_and_damage_is_noticed(store: Store, tmp_path: Path) -> None:
    run = town().write(tmp_path / "runs")
    (run.path / "replies.parquet").write_bytes(os.urandom(20 << 20))
    (run.path / "empty").touch()
    run.write_key(bytes(16))
    manifest = Upload(store, "job/0001").store(run)
    assert "job/0001/key" not in store.names("job")
    result = Outcome(job="v0/0-of-1", vantage="v0", state="complete", place="0001", manifest_sha256=manifest)
    fetched = download(store, "job", result, tmp_path / "got")
    names = {str(path.relative_to(fetched.path)) for path in fetched.path.rglob("*") if path.is_file()}
    kept = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert names == kept - {"key"}
    assert all((fetched.path / name).read_bytes() == (run.path / name).read_bytes() for name in names)
    with pytest.raises(UsageError, match="exists already"):
        download(store, "job", result, tmp_path / "got")
    name = next(name for name in store.names("job/0001/sets"))
    store.put(name, b"something else")
    with pytest.raises(LivenessError, match="damaged"):
        download(store, "job", result, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    store.put("job/0002/manifest.json", b"{}")
    store.put("job/result.json", b"{}")
    remove_others(store, "job", "0002")
    assert store.names("job") == ["job/0002/manifest.json", "job/result.json"]


def test_published_lists_are_united(store: Store) -> None:
    assert opt_outs.publish(store, "wide", opt_outs.text_of(["192.0.2.0/25"]))
    assert not opt_outs.publish(store, "wide", opt_outs.text_of(["192.0.2.0/26"]))
    assert opt_outs.publish(store, "wide", opt_outs.text_of(["198.51.100.7"]))
    assert store.get(layout.opt_outs("wide")) == b"192.0.2.0/25\n198.51.100.7\n"


def test_no_link_in_a_directory_leads_a_store_elsewhere(tmp_path: Path) -> None:
    store = Store.open(StorePlace(url=f"file://{tmp_path}/store"))
    run = tmp_path / "elsewhere" / "0001"
    run.mkdir(parents=True)
    (run / "manifest.json").write_bytes(b"kept")
    store.put("job/0002/manifest.json", b"{}")
    (tmp_path / "store" / "job" / "0001").symlink_to(run)
    (tmp_path / "store" / "wide").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "store" / "job" / "file").symlink_to(run / "manifest.json")
    assert store.names("job") == ["job/0002/manifest.json"]
    assert store.folders("") == ["job"]
    assert store.folders("job") == ["0002"]
    remove_others(store, "job", "0002")
    attempts: list[Callable[[str], object]] = [
        store.get,
        store.tag,
        store.remove,
        store.names,
        store.folders,
        lambda name: list(store.parts(name)),
        lambda name: store.put(name, b"changed"),
        lambda name: store.create(name, b"changed"),
    ]
    for attempt in attempts:
        with pytest.raises(StoreError, match="is a symbolic link, which is not followed here"):
            attempt("wide/0001/manifest.json")
    with pytest.raises(StoreError, match="is a symbolic link"):
        store.get("job/file")
    store.put("job/file", b"new")
    store.remove("job/file")
    assert [path.read_bytes() for path in run.iterdir()] == [b"kept"]


def test_a_store_that_is_gone_and_comes_back_is_written_again(tmp_path: Path) -> None:
    store = Store.open(StorePlace(url=f"file://{tmp_path}/store"))
    (tmp_path / "store").rmdir()
    assert (store.get("a/b"), store.tag("a/b"), store.names("a"), store.folders("a")) == (None, None, [], [])
    store.remove("a/b")
    assert store.create("a/b", b"one")
    assert store.names("a") == ["a/b"]
    assert [path.name for path in (tmp_path / "store" / "a").iterdir()] == ["b"], "no temporary file is left"


def test_lines_of_a_published_list_are_addresses_and_no_files(tmp_path: Path) -> None:
    store = Store(MemoryStore(), "memory")
    (tmp_path / "list").write_text("198.51.100.0/24\n")
    store.put(layout.opt_outs("wide"), f"192.0.2.0/25\n{tmp_path}/list\n".encode())
    with pytest.raises(LivenessError, match=r"^memory: wide/opt-outs\.txt:2: ") as caught:
        opt_outs.intervals_of(store, layout.opt_outs("wide"), opt_outs.published(store, "wide"))
    assert not isinstance(caught.value, UsageError)
    warnings: list[str] = []
    opt_outs.publish(store, "wide", b"192.0.2.0/24\n", warnings.append)
    assert opt_outs.published(store, "wide") == b"192.0.2.0/24\n"
    assert len(warnings) == 1


def test_of_lists_that_are_published_at_the_same_moment_none_is_lost() -> None:
    plain = Store(MemoryStore(), "memory")

    class Late(Store):
        """A store into which another command publishes a list between what this one reads and what it writes."""

        def put(self, name: str, content: bytes) -> None:
            if others:
                assert opt_outs.publish(plain, "wide", others.pop())
            super().put(name, content)

    others = [b"198.51.100.7\n", b"192.0.2.0/24\n"]
    assert opt_outs.publish(Late(plain.backend, "memory"), "wide", b"203.0.113.0/24\n")
    assert opt_outs.published(plain, "wide") == b"192.0.2.0/24\n198.51.100.7\n203.0.113.0/24\n"
    assert not opt_outs.publish(plain, "wide", b"198.51.100.7\n")


def test_a_store_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound, and nobody listens
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
        store = Store.open(StorePlace(url="s3://bucket", endpoint=endpoint, region="eu", allow_http=True))
        with pytest.raises(StoreError) as caught:
            store.get("a")
    assert str(caught.value).startswith("s3://bucket: a: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError):
        Store.open(StorePlace(url=f"file://{tmp_path}")).put("..", b"")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../key", "sets/../../key", "a\0b"])
def test_a_stored_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(LivenessError, match="not the name of a file of a run"):
        checked(name)


def test_a_run_directory_is_stored_again_after_it_changed(tmp_path: Path) -> None:
    store = Store(MemoryStore(), "memory")
    run = town().write(tmp_path / "runs")
    upload = Upload(store, "job/0001")
    first = upload.store(run)
    (run.path / "targets.txt").write_text("192.0.2.0/24\n")
    assert upload.store(run) == first
    assert store.get("job/0001/targets.txt") == b"192.0.2.0/24\n"
