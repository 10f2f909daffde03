"""What changes in the model Internet with time: hosts come and go, networks fail, move and close."""
