"""Results of masscan and nmap, in the layouts that their manuals document."""

from pathlib import Path

import pytest
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.files import Reader
from liveness.ipsets.formats.codec import PLAIN, Choice
from liveness.space.addresses import parse_address
from liveness.space.prefixes import Skipped

FILES = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "results").glob("*.txt"))}


def hosts(*last: int) -> BitMap:
    return BitMap([parse_address("10.0.0.0") + number for number in last])


def read(path: Path, content: str, choice: Choice = PLAIN) -> tuple[str, BitMap]:
    path.write_text(content)
    found = Reader(choice=choice).read(str(path))
    return found.format, found.addresses


@pytest.mark.parametrize("name", FILES)
def test_results_are_the_hosts_with_a_port_in_a_state(tmp_path: Path, name: str) -> None:
    form, content = name.partition("-")[0], FILES[name]
    path = tmp_path / "file"
    got, found = read(path, content)
    assert got == form
    assert found == hosts(1, 2)
    assert read(path, content, Choice(ports=frozenset({"tcp/80"})))[1] == hosts(1)
    assert read(path, content, Choice(ports=frozenset({"tcp/80"}), states=frozenset({"closed"})))[1] == hosts(3)
    assert read(path, content, Choice(ports=frozenset({"udp/53"}), states=frozenset({"open", "closed"})))[1] == hosts(2)


def test_hosts_that_are_up_count_where_no_ports_were_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    grepable = "Host: 10.0.0.1 ()\tStatus: Up\nHost: 10.0.0.2 ()\tStatus: Down\n"
    assert read(path, grepable) == ("nmap", hosts(1))
    host = '<host><status state="up"/><address addr="10.0.0.5" addrtype="ipv4"/></host>'
    xml = f'<?xml version="1.0"?>\n<nmaprun>\n{host}\n'
    assert read(path, xml + "</nmaprun>\n") == ("nmap", hosts(5))


def test_what_is_no_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(UsageError, match=r"file:2: not a line of masscan or nmap: 'nonsense'"):
        read(path, "open tcp 80 10.0.0.1 1\nnonsense\n")
    with pytest.raises(UsageError, match=r"file:1: .*IPv6: --skip-ipv6"):
        read(path, "open tcp 80 2001:db8::1 1\n")
    skipped = Skipped()
    assert read(path, "open tcp 80 2001:db8::1 1\nopen tcp 80 10.0.0.1 1\n", Choice(skipped=skipped))[1] == hosts(1)
    assert skipped.lines == 1
