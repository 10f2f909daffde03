"""Tests of the config: its model, its loader and its commands."""
