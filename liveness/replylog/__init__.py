"""Logs of replies: written while a run is on, converted to Parquet, queried."""
