"""Checkpoints of a run, and resuming a run that ended early."""
