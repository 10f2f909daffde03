"""Receiving: receiver processes, matching, and what they collect."""
