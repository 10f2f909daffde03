"""The kernel's network: packet rings, routes, neighbours, features. Moves frames and knows no protocol."""
