"""Tests of liveness.report."""
