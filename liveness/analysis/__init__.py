"""The analysis: from the sets of a run to the results of the paper."""
