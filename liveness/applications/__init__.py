"""Applications of TCP: what a scan says to a service behind an open port, and how it knows that the service answers."""
