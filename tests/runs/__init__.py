"""Tests of liveness.store."""
