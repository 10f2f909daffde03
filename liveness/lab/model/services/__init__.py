"""What open ports of the model Internet do after the handshake."""
