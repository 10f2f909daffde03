"""Address space: addresses, prefixes, intervals, special-purpose space and targets."""
