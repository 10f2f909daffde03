"""Tests of the kernel's network: everything that sends runs in namespaces of its own."""
