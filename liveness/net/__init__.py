"""Network interface of the kernel: packet rings, routes, neighbours and features. It sends frames of any protocol."""
