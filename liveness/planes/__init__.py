"""What a survey leaves on disk: its blocks, its manifest, and bit planes of addresses by rounds."""
