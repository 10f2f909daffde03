"""Parts of queries: literals, and addresses as text and as numbers."""

from pathlib import Path


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def literal(path: Path) -> str:
    """Return a path with its glob characters escaped, for DuckDB."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def dotted(column: str) -> str:
    """Return the SQL of an address, which is a number, as dotted text."""
    return " || '.' || ".join(f"(({column} >> {shift}) & 255)::VARCHAR" for shift in (24, 16, 8, 0))


def number_of(column: str) -> str:
    """Return the SQL of dotted text as a number; null for anything else."""
    parts = (f"try_cast(split_part({column}, '.', {i + 1}) AS UTINYINT)::UBIGINT << {24 - 8 * i}" for i in range(4))
    is_dotted = rf"regexp_full_match({column}, '\d{{1,3}}(\.\d{{1,3}}){{3}}')"
    return f"CASE WHEN {is_dotted} THEN ({' | '.join(f'({part})' for part in parts)})::UINTEGER END"
