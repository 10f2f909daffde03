"""Reports: results as tables for people."""
