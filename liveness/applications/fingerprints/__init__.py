"""Fingerprints: which protocol the first data of a service belongs to, whatever its port."""
