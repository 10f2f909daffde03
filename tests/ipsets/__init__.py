"""Tests of liveness.ipsets."""
