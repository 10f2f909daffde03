"""Path to the targets: the kernel's routing decisions about them, and changes of the path during a scan."""
