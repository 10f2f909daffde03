"""The Python interface: what `import liveness` offers to scripts and notebooks."""
