"""Tests of liveness.cli."""
