"""The paper's figures, drawn with matplotlib: one kind of figure per file, each a function that returns a `Drawing`."""

import logging

# Set before matplotlib is imported: its messages about font caches do not concern a user.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
