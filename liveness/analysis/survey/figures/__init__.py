"""Figures of a survey as data: one file for each subject, and the kinds of content that `liveness.report` draws."""
