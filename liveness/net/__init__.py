"""The kernel's network: packet rings, routes, neighbours, features. It moves frames and knows no protocol."""
