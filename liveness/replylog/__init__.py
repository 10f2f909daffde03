"""Logs of replies: written while a run goes on, converted to Parquet, queried."""
