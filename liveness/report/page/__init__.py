"""The report as one HTML file that needs nothing else: figures, tables, map, provenance and warnings."""
