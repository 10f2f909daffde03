"""Twins: the lab's answers to each UDP probe, by its real servers and by the model Internet.

A twin shares no code with the scanner's probe, so that the lab judges the scanner by the protocol's specification.
"""
