"""The pass over the sets of runs: kernels derive the state of each address and count addresses by state."""
