"""The measures: one file each, with computation, formulas, tables, figures and comparisons."""
