"""Orders: the rules that say which target is probed when."""
