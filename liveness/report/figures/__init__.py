"""The paper's figures, drawn with matplotlib: a noun a file, each a function of results that returns a `Drawing`."""
