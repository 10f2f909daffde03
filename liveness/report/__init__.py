"""Reports: results as tables, figures and pages for readers."""
