"""What several runs show together: what changed from one to the next, and what remains."""
