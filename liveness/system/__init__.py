"""The operating system: namespaces, privileges, confinement, child processes."""
