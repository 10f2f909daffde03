"""The model Internet: a population of addresses, and the far end that answers for it."""
