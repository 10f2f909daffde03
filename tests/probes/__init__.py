"""Tests of the probes: frames made and replies matched."""
