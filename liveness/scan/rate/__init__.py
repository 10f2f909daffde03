"""The rate of a run, fixed or searched."""
