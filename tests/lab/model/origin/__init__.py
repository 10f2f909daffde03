"""Tests of what the model Internet shows to some places only."""
