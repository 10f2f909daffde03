"""The path to the targets: the kernel's decision about each of them, and its changes while a scan runs."""
