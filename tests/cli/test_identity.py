"""The texts that tell people who scans them."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.support import assert_one_line, liveness

CONFIG = (
    "name: sept5\ntargets: {allow: [0.0.0.0/0]}\ncontact: %s\nnetwork: {source_addresses: [192.0.2.7, 192.0.2.8]}\n"
)


class Page(HTMLParser):
    """What a browser sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.links: list[str | None] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_page_names_and_remarks(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG % "https://scan.example.org/why?a=1&b=2")
    options = ("--organisation", "University of <X> & Y", "--mail", "noc@example.org", "-o", tmp_path / "www")
    done = liveness("identity", "-C", config, *options)
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == [f"{tmp_path}/www/{name}" for name in ("index.html", "reverse-dns.txt", "whois.txt")]
    page = Page((tmp_path / "www" / "index.html").read_text())
    assert page.open == []
    assert set(page.links) == {"mailto:noc@example.org", "https://scan.example.org/why?a=1&b=2"}
    for words in ("University of <X> & Y", "192.0.2.7", "192.0.2.8", "TCP port 7547", "opt out"):
        assert words in page.words
    assert (tmp_path / "www" / "reverse-dns.txt").read_text().splitlines()[1:] == [
        "7.2.0.192.in-addr.arpa. IN PTR scanner1.sept5.internet-measurement.scan.example.org.",
        "scanner1.sept5.internet-measurement.scan.example.org. IN A 192.0.2.7",
        "8.2.0.192.in-addr.arpa. IN PTR scanner2.sept5.internet-measurement.scan.example.org.",
        "scanner2.sept5.internet-measurement.scan.example.org. IN A 192.0.2.8",
    ]
    remarks = (tmp_path / "www" / "whois.txt").read_text().splitlines()
    assert remarks[-1] == "abuse-mailbox:  noc@example.org"
    assert all(line.startswith("remarks:        ") for line in remarks[:-1])


def test_a_mail_address_as_contact_is_enough(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG % "noc@example.org")
    assert liveness("identity", "-C", config, "-S", "192.0.2.9", cwd=tmp_path).code == 0
    assert (
        "9.2.0.192.in-addr.arpa. IN PTR scanner1.sept5.internet-measurement.example.org."
        in (tmp_path / "identity" / "reverse-dns.txt").read_text()
    )


@pytest.mark.parametrize(
    ("contact", "options", "parts"),
    [
        ("''", (), ("$.contact", "name a page")),
        ("https://x.example", (), ("$.contact: 'https://x.example'", "give --mail")),
        ("a@b.example", ("-S", "224.0.0.1"), ("-S: '224.0.0.1'",)),
        ("a@b.example", ("-o", "c.yaml/x"), ("c.yaml/x: cannot make this folder: Not a directory",)),
    ],
)
def test_what_is_missing_is_one_line(
    tmp_path: Path, contact: str, options: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG % contact)
    done = liveness("identity", "-C", "c.yaml", *options, cwd=tmp_path)
    assert_one_line(done, done.code, *parts)
    assert done.code in (1, 2)
