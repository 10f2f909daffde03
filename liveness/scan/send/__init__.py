"""Sending: sender processes, the kernel that fills their frames, and their positions in shared memory."""
