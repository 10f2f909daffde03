"""The command line: one file per command; click is used here only."""
