"""The way to the targets: what the kernel does with each of them, and what becomes of that while a scan runs."""
