"""The HTML page of an evaluated run, or of several side by side: one file that needs nothing else to be read."""
