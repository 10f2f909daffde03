"""DuckDB in memory: connections, texts of queries, tables made of arrays and written as files."""
