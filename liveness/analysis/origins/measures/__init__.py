"""Measures of several vantage points, a file each, and their registry."""
