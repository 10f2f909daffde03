"""Results of several runs together: changes from run to run, and retention."""
