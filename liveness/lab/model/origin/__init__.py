"""What the model Internet shows to some places and hides from others."""
