"""Tests of liveness.analysis."""
