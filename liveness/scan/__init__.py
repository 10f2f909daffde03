"""The scan: supervisor, sender and receiver processes."""
