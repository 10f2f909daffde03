"""liveness: a census of IPv4 liveness, and its analysis, after Bano et al. 2018."""

__version__ = "0.1.0"
