"""Observation of a running scan: a status file, and metrics as a file and over HTTP."""
