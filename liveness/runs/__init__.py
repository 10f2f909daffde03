"""What a run leaves on disk: its directory, manifest, segments and checkpoint."""
