"""Recurring censuses: one run after the other in one directory, reported, compared, kept, and told of."""
