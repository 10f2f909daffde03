"""Path to the targets during a run: neighbours, next hops, and the reaction to changes."""
