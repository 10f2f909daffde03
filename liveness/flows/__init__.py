"""Flow records of any format, read as batches of one record type."""
