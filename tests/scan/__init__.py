"""Tests of the scan's parts."""
