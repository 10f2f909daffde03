"""Known losses: how they are noticed, recorded and repaired."""
