"""Live frames: the BPF programs that send and count them, and the process that runs the first one."""
