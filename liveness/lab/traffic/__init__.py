"""Labelled traffic of a network's border, drawn from a seed, in every format that flows come in."""
