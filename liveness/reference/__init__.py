"""Values that others have published, each in one place and under a stable id."""
