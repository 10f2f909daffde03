"""Receiver processes: receive rings, matching of packets to probes, and sinks of the accepted replies."""
