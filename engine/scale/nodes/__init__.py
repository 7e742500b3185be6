"""How nodes are reached, and the files that they read."""
