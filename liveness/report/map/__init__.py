"""The map of liveness along a Hilbert curve: one pixel for each /24, as a PNG."""
