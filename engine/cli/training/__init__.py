"""Commands that train encoders and bring them into an index."""
