"""Opted-out addresses, removed from the data of runs on disk."""
