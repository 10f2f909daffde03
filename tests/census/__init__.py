"""Whole scans: the command line run in private networks, judged by ground truth, by the wire and by arithmetic."""
