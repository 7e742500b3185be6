"""Replace the encoder of an index by a better one, if it passes the gate."""
