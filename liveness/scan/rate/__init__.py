"""The rate of a run, configured or searched for."""
