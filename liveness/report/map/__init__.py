"""The map of liveness along a Hilbert curve: a pixel for each /24, as a PNG."""
