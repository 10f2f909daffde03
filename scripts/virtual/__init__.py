"""A virtual machine with two network cards joined by a cable, in which the tests of cards run."""
