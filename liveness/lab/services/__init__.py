"""Services of the lab behind open TCP ports: what a port does after the handshake, and what a talk with it shows.

Nothing here shares code with the scanner's applications: the judge reads the RFCs for itself.
"""
