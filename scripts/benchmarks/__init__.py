"""The benchmarks behind scripts/bench: one file a subcommand, and what they share."""
