"""The lab of real Linux hosts with known ground truth."""
