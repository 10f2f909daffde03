"""Comparison of vantage points: what runs of the same targets from several places see, and what each place misses."""
