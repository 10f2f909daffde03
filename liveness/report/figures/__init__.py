"""The paper's figures, drawn with matplotlib: a noun a file, each a function of results that returns a `Drawing`."""

import logging

# here, before matplotlib is imported: that it caches fonts, and where, is nothing to tell a user
logging.getLogger("matplotlib").setLevel(logging.ERROR)
