"""Surveys: which blocks to survey, and surveys in the formats of others."""
