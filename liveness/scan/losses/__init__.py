"""Known losses: how they are detected, recorded and repaired."""
