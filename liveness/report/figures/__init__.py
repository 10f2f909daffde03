"""The paper's figures, drawn with matplotlib: a noun a file, each a function of results that returns a `Drawing`."""

import logging

# before matplotlib is imported: that it caches fonts, and where, does not concern a user
logging.getLogger("matplotlib").setLevel(logging.ERROR)
