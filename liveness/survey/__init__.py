"""Surveys: the choice of blocks, the engine that runs them, and import and export in the formats of others."""
