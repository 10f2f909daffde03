"""The analysis of a survey: availability, up periods, outages and daily cycles of addresses and blocks."""
