"""The vectors of the next generation: its encoder, and what a stopped run has left."""
