"""How kernels are compiled, where what is compiled is kept, and where it is shown how far that is."""
