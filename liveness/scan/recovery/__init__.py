"""Checkpoints, and going on after a run was cut off."""
