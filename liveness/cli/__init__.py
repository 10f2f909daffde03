"""The command line: one file a command; the only place for click."""
