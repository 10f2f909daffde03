"""The report as one self-contained HTML file: figures, tables, map, provenance and warnings."""
