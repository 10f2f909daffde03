"""Fuzzing of parser and matcher: mutations of the golden packets, and an oracle that knows what they may prove."""
