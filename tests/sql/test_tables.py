"""Tables are filled batch by batch from arrays and written whole."""

from pathlib import Path

import numpy as np
import pytest

from liveness.sql import tables
from liveness.sql.connection import connect, duckdb_errors, limit_memory, spilling

ROW = np.dtype([("address", "<u4"), ("gap", "V3"), ("state", "u1")])


def test_fields_of_a_structured_array_become_columns_batch_by_batch(tmp_path: Path) -> None:
    rows = np.zeros(10, ROW)
    rows["address"], rows["state"] = range(10), range(100, 110)
    path = tmp_path / "rows.parquet"
    with spilling() as (connection, spill):
        for first in (0, 4, 8):
            tables.append(
                connection, "rows", tables.fields(rows[first : first + 4], ("address", "state")), "*, 'x' AS name"
            )
        tables.write(connection, "SELECT * FROM rows", tables.PARQUET, spill, path)
    with connect() as connection:
        found = connection.execute(f"FROM read_parquet('{path}')").fetchall()
    assert found == [(number, 100 + number, "x") for number in range(10)]


def test_a_query_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("before")
    with spilling() as (connection, spill), pytest.raises(duckdb_errors()):
        tables.write(connection, "SELECT nothing", "FORMAT csv", spill, path)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]


def test_what_exceeds_the_memory_goes_to_a_private_directory_that_is_removed() -> None:
    with spilling("20MB") as (connection, spill):
        assert spill.stat().st_mode & 0o777 == 0o700
        connection.execute("CREATE TABLE many AS SELECT range AS number, hash(range) AS other FROM range(4000000)")
        assert any(spill.iterdir())
    assert not spill.exists()


def test_without_a_directory_a_query_that_needs_more_memory_fails() -> None:
    with connect() as connection:
        limit_memory(connection, memory="20MB")
        with pytest.raises(duckdb_errors()):
            connection.execute("CREATE TABLE many AS SELECT range AS number, hash(range) AS other FROM range(4000000)")
