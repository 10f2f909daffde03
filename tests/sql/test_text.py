"""Texts of queries mean what they say, by the standard library's reading of addresses."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.sql.connection import connect
from liveness.sql.text import dotted, literal, number_of, quoted


def one(query: str) -> object:
    with connect() as connection:
        ((value,),) = connection.execute(query).fetchall()
    return value


def test_addresses_are_written_and_read_as_the_standard_library_does() -> None:
    numbers = [0, 1, 255, 256, 0x7F000001, 0x08080404, 0xFFFFFFFF, *range(0x01020304, 0xFFFFFFFF, 0x0FEDCBA9)]
    with connect() as connection:
        connection.execute("CREATE TABLE given (number UINTEGER)")
        connection.executemany("INSERT INTO given VALUES (?)", [(number,) for number in numbers])
        written = f"SELECT number, {dotted('number')} AS text FROM given"
        rows = connection.execute(f"SELECT number, text, {number_of('text')} FROM ({written})").fetchall()
    assert sorted(rows) == sorted((number, str(ipaddress.ip_address(number)), number) for number in numbers)


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.x", "-1.2.3.4", "1..2.3", " 1.2.3.4", "1"]
)
def test_other_text_is_no_address(text: str) -> None:
    assert one(f"SELECT {number_of('text')} FROM (SELECT {quoted(text)} AS text)") is None


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_a_quoted_text_is_that_text(text: str) -> None:
    assert one(f"SELECT {quoted(text)}") == text


def test_a_path_with_glob_characters_names_one_file(tmp_path: Path) -> None:
    for name in ("a*.csv", "ab.csv", "a[b].csv", "a?.csv"):
        (tmp_path / name).write_text(f"name\n{name}\n")
    for name in ("a*.csv", "a[b].csv", "a?.csv"):
        path = quoted(literal(tmp_path / name))
        assert one(f"SELECT string_agg(name) FROM read_csv({path}, header = true)") == name
