"""Reports of passive runs: tables, figures and a page, from the run's document alone."""
