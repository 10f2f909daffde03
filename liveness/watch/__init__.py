"""Watching a scan from outside: a status file, metrics as a file and by HTTP."""
