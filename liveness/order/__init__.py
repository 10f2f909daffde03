"""Orders: which target is probed when."""
