"""The way to the targets while a run goes on."""
