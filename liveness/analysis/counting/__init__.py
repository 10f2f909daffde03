"""The pass over the sets of runs: who is in which state, counted by kernels."""
