"""The process that answers for the whole IPv4 space in the model Internet: it receives frames of a scanner."""
