"""The report of a survey: its page, figures and exported tables."""
