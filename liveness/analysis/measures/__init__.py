"""The measures, one per file: computation, formulas, tables, figures and comparisons."""
