"""Address space: prefixes, blocklists, permutation, schedule."""
