"""The far end of the model Internet: it takes a scanner's frames, and answers for the whole IPv4 space."""
