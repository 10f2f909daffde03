"""Sending: sender processes, their kernel, and where they stand."""
