"""Files of sources: found, planned, read in order, and gathered into the draft of the next corpus."""
