"""Probes: what each sends, and what a valid reply to it is."""
