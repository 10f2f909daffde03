"""A model of the whole IPv4 space: what every address answers to every probe, without a table of addresses."""
