"""Tables as files for other programs: CSV, LaTeX."""
