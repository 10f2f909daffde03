"""A model of the whole IPv4 space: the answer of every address to every probe, without a table of addresses."""
