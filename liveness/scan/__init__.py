"""The scan: the supervisor, sender and receiver processes."""
