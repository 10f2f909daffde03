"""Golden captures: one packet for each cell of the reply matrix, and what is to be read from it."""
