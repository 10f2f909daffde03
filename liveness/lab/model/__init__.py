"""The model Internet: a population of addresses, and the process that answers for it."""
