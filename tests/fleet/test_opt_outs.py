"""Opt-outs reach every scan at work, every run before it is stored, and every stored run."""

from pathlib import Path

from pyroaring import BitMap

from liveness.fleet.store import Store
from liveness.fleet.vantages import StorePlace
from liveness.space.addresses import parse_entry
from tests.fleet.support import Place, cleaned, found, truth, wait_for

DURING = "9.9.0.128/25"
LATER = "9.9.0.64/26"


def inside(entry: str, addresses: list[int]) -> list[int]:
    low, high = parse_entry(entry)
    return [address for address in addresses if low <= address <= high]


def stored_addresses(folder: Path) -> BitMap:
    """Return every address in any set of the store."""
    sets = [BitMap.deserialize(path.read_bytes()) for path in (folder / "store").rglob("*.roaring")]
    return BitMap().union(*sets)


def test_what_opts_out_during_a_run_and_after_it_is_nowhere(tmp_path: Path) -> None:
    with cleaned(Place(tmp_path)) as place:
        place.hold()
        command = place.begin("--run-id", "r1")
        place.wait_held()
        with (tmp_path / "blocklist.txt").open("a") as file:
            file.write(f"{DURING}  # 2026-11-27, noc@example.net, mail\n")

        def arrived() -> bool:
            lists = list(tmp_path.glob("v*/wide/r1/*/opt-outs.txt"))
            return len(lists) == 2 and all(DURING in path.read_text() for path in lists)

        wait_for(arrived, "the opt-out at both vantage points")
        before = len(place.lines("probed"))
        place.release()
        code, _, err = command.ended()
        assert code == 0, err
        assert "blocklists published" in err
        after = [address for line in place.lines("probed")[before:] for address in line["targets"]]
        assert after
        assert inside(DURING, after) == []
        assert stored_addresses(tmp_path) == truth(DURING)

        (tmp_path / "more.txt").write_text(f"{LATER}\n")
        done = place.fleet("blocklist", "-b", "more.txt")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("opted-out data removed from the stored run") == 2
        assert stored_addresses(tmp_path) == truth(DURING, LATER)
        store = Store.open(StorePlace(url=f"file://{tmp_path}/store"))
        places = {Path(name).parts[4] for name in store.names("wide/r1/v0/0-of-2") if len(Path(name).parts) > 5}
        assert places == {"0001.1"}, "the copy with the opted-out data is removed"
        again = place.fleet("blocklist")
        assert (again.returncode, again.stderr) == (0, "wide: nothing new to publish\n")

        fetched = place.fleet("fetch", "r1", "-o", "got")
        assert fetched.returncode == 0, fetched.stderr
        assert found(tmp_path / "got" / "merged") == truth(DURING, LATER)


def test_a_scan_that_begins_after_an_opt_out_has_the_order_of_the_others(tmp_path: Path) -> None:
    """One vantage point takes its part before the opt-out and one after it: the runs belong together."""
    with cleaned(Place(tmp_path)) as place:
        assert place.fleet("drain", "v1").returncode == 0
        assert place.fleet("run", "--run-id", "r1").returncode == 5
        assert place.fleet("drain", "v1", "--undo").returncode == 0
        with (tmp_path / "blocklist.txt").open("a") as file:
            file.write(f"{DURING}\n")
        before = len(place.lines("probed"))
        done = place.fleet("run")
        assert (done.returncode, done.stdout) == (0, "wide/r1\n"), done.stderr
        after = [address for line in place.lines("probed")[before:] for address in line["targets"]]
        assert after
        assert inside(DURING, after) == []
        assert stored_addresses(tmp_path) == truth(DURING)
        assert place.fleet("fetch", "-o", "got").returncode == 0
        assert found(tmp_path / "got" / "merged") == truth(DURING)
