"""Config: the model of a census and its loader."""
