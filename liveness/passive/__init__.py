"""Passive measurement: one-way traffic of a live network, classified, and services that fail (Glatz 2012)."""
