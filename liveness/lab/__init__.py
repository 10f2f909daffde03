"""The lab: a private network of real Linux hosts with known ground truth."""
